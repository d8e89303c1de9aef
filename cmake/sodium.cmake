# The part of libsodium that the core uses, compiled from its released source for every target alike.
#
# No file here asks the operating system for anything: one portable implementation of each primitive and
# no CPU dispatch, so native tests run the very code that ships. What libsodium would ask of a system
# (randomness, an abort handler) is answered by a trap in sodium_trap.c.

set(LATCHKEY_DEPS "${PROJECT_SOURCE_DIR}/build/deps" CACHE PATH "Where scripts/setup puts third-party source")

set(sodium_root "${LATCHKEY_DEPS}/libsodium")
set(sodium_source "${sodium_root}/src/libsodium")
if(NOT EXISTS "${sodium_source}/include/sodium/version.h.in")
  message(FATAL_ERROR "libsodium's source is missing; type: scripts/setup")
endif()

function(latchkey_sodium_version variable pattern)
  file(STRINGS "${sodium_root}/configure.ac" line REGEX "${pattern}" LIMIT_COUNT 1)
  if(NOT line MATCHES "${pattern}")
    message(FATAL_ERROR "${sodium_root}/configure.ac does not name ${variable}")
  endif()
  set(${variable} "${CMAKE_MATCH_1}" PARENT_SCOPE)
endfunction()

latchkey_sodium_version(VERSION "^AC_INIT\\(\\[libsodium\\],\\[([0-9.]+)\\]")
latchkey_sodium_version(SODIUM_LIBRARY_VERSION_MAJOR "^SODIUM_LIBRARY_VERSION_MAJOR=([0-9]+)")
latchkey_sodium_version(SODIUM_LIBRARY_VERSION_MINOR "^SODIUM_LIBRARY_VERSION_MINOR=([0-9]+)")
if(VERSION VERSION_LESS 1.0.20)
  message(FATAL_ERROR "libsodium ${VERSION} is older than 1.0.20; type: rm -r build/deps && scripts/setup")
endif()
set(SODIUM_LIBRARY_MINIMAL_DEF "#define SODIUM_LIBRARY_MINIMAL 1")
set(sodium_generated "${PROJECT_BINARY_DIR}/sodium")
file(READ "${sodium_source}/include/sodium/version.h.in" sodium_version)
string(REPLACE "\"export.h\"" "\"sodium/export.h\"" sodium_version "${sodium_version}")
file(CONFIGURE OUTPUT "${sodium_generated}/sodium/version.h" CONTENT "${sodium_version}" @ONLY)

set(sodium_files
  crypto_aead/xchacha20poly1305/aead_xchacha20poly1305.c
  crypto_auth/hmacsha256/auth_hmacsha256.c
  crypto_core/ed25519/ref10/ed25519_ref10.c
  crypto_core/hchacha20/core_hchacha20.c
  crypto_hash/sha256/cp/hash_sha256_cp.c
  crypto_hash/sha512/cp/hash_sha512_cp.c
  crypto_kdf/hkdf/kdf_hkdf_sha256.c
  crypto_onetimeauth/poly1305/donna/poly1305_donna.c
  crypto_onetimeauth/poly1305/onetimeauth_poly1305.c
  crypto_sign/ed25519/ref10/keypair.c
  crypto_sign/ed25519/ref10/open.c
  crypto_sign/ed25519/ref10/sign.c
  crypto_stream/chacha20/ref/chacha20_ref.c
  crypto_stream/chacha20/stream_chacha20.c
  crypto_verify/verify.c
  sodium/utils.c)
list(TRANSFORM sodium_files PREPEND "${sodium_source}/")

add_library(sodium ${LATCHKEY_LIBRARY_KIND} ${sodium_files} "${PROJECT_SOURCE_DIR}/cmake/sodium_key.c"
  "${PROJECT_SOURCE_DIR}/cmake/sodium_trap.c")
target_include_directories(sodium SYSTEM
  PUBLIC "${sodium_generated}" "${sodium_source}/include" "${PROJECT_SOURCE_DIR}/cmake"
  PRIVATE "${sodium_generated}/sodium" "${sodium_source}/include/sodium")
# SODIUM_STATIC keeps the symbols hidden. The weak symbols and the empty assembly statement are libsodium's
# own guard that a wipe survives link-time optimisation.
target_compile_definitions(sodium
  PUBLIC SODIUM_STATIC=1
  PRIVATE CONFIGURED=1 HAVE_WEAK_SYMBOLS=1 HAVE_INLINE_ASM=1 HAVE_GCC_MEMORY_FENCES=1
    $<$<NOT:$<STREQUAL:${CMAKE_C_BYTE_ORDER},BIG_ENDIAN>>:NATIVE_LITTLE_ENDIAN=1>)
target_compile_options(sodium PRIVATE -w -fvisibility=hidden -ffunction-sections -fdata-sections)
set_target_properties(sodium PROPERTIES C_STANDARD 99 C_EXTENSIONS ON)
# Keys come with their points (sodium_key.h); everything else of a verification is as libsodium has it.
set_source_files_properties("${sodium_source}/crypto_sign/ed25519/ref10/open.c"
  PROPERTIES COMPILE_DEFINITIONS ge25519_frombytes_negate_vartime=latchkey_ed25519_unpacked)
if(LATCHKEY_WASM)
  # Built for size like the rest of a module, but for the hashes that tokens pass through and the group arithmetic of
  # Ed25519, whose field operations are inlined: 3 % of a verification and 15 % of a signature for 3.4 KB. Arrays of limbs
  # are moved and added as vectors where a module may have them.
  set(sodium_vectors "")
  if(LATCHKEY_WASM STREQUAL "edge")
    set(sodium_vectors -msimd128)
  endif()
  set_source_files_properties("${sodium_source}/crypto_hash/sha256/cp/hash_sha256_cp.c"
    PROPERTIES COMPILE_OPTIONS "-O3;${sodium_vectors}")
  set_source_files_properties("${sodium_source}/crypto_core/ed25519/ref10/ed25519_ref10.c"
    PROPERTIES COMPILE_OPTIONS "-O2;-fno-unroll-loops;${sodium_vectors}")
endif()
