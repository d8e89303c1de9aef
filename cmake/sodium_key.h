/* Ed25519 keys that are unpacked once: finding the point of a key (RFC 8032, 5.1.3) is 7 % of a
   verification, and a key verifies many times. */
#pragma once

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What libsodium is given the address of where it wants a key: it reads the bytes, and takes the
   point from behind them. */
struct latchkey_ed25519_key {
  uint8_t bytes[32];
  int32_t point[40];
  int32_t status;
};

/* Finds the negated point of a key, as limbs. Returns the status: 0, or -1 and nothing in `point`
   where there is none. */
int32_t latchkey_ed25519_unpack(const uint8_t bytes[32], int32_t point[40]);

#ifdef __cplusplus
}
#endif
