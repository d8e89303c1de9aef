/* What libsodium expects of an operating system. The core brings its own entropy and checks every
   length before it calls, so each of these is a broken contract. */
#include <stddef.h>

#include "core.h"
#include "randombytes.h"

void sodium_misuse(void) { __builtin_trap(); }

void randombytes_buf(void* const buf, const size_t size) {
  (void)buf;
  (void)size;
  __builtin_trap();
}
