# The dialect and the warnings of every C++ target, in every build.

# `latchkey_strict`: what all of our own code is held to.
add_library(latchkey_strict INTERFACE)
target_compile_features(latchkey_strict INTERFACE cxx_std_20)
target_compile_options(latchkey_strict INTERFACE
  -Wall -Wextra -Wconversion -Wsign-conversion -Wshadow -Wswitch-enum -Werror
  # Members left out of a designated initializer keep their defaults, which is what they are for.
  -Wno-missing-field-initializers)

# `latchkey_core_dialect`: one semantics natively and in a module: no exceptions, no RTTI, no start-up code.
add_library(latchkey_core_dialect INTERFACE)
target_link_libraries(latchkey_core_dialect INTERFACE latchkey_strict)
target_compile_options(latchkey_core_dialect INTERFACE
  -fno-exceptions -fno-rtti -fno-threadsafe-statics -fvisibility=hidden -ffunction-sections -fdata-sections
  # The edge module is a twelfth smaller with it; Emscripten's packaged libraries have no such variant.
  $<$<STREQUAL:${LATCHKEY_WASM},edge>:-flto>
  $<$<CXX_COMPILER_ID:Clang>:-Wexit-time-destructors -Wglobal-constructors>)

if(LATCHKEY_TIDY)
  file(STRINGS "${PROJECT_SOURCE_DIR}/cmake/llvm-version" llvm LIMIT_COUNT 1)
  set(CMAKE_CXX_CLANG_TIDY "clang-tidy-${llvm}" --quiet)
endif()
