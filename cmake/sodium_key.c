#include "sodium_key.h"

#include <string.h>

#include "private/ed25519_ref10.h"

_Static_assert(sizeof(ge25519_p3) == sizeof(int32_t[40]), "a point is four times ten limbs");

int32_t latchkey_ed25519_unpack(const uint8_t bytes[32], int32_t point[40]) {
  ge25519_p3 found;
  const int32_t status = ge25519_frombytes_negate_vartime(&found, bytes);
  if (status == 0) memcpy(point, &found, sizeof found);
  return status;
}

/* Called where libsodium verifies, for ge25519_frombytes_negate_vartime (sodium.cmake). */
int latchkey_ed25519_unpacked(ge25519_p3* const point, const uint8_t* const bytes) {
  const struct latchkey_ed25519_key* const key = (const struct latchkey_ed25519_key*)bytes;
  memcpy(point, key->point, sizeof *point);
  return key->status;
}
