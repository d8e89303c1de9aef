# Toolchain of the edge module: wasi-sdk where WASI_SDK_PATH names one, else the same parts from packages
# (clang, lld, wasi-libc, libc++), in the one version that cmake/llvm-version names.
set(CMAKE_SYSTEM_NAME Generic)
set(CMAKE_SYSTEM_PROCESSOR wasm32)
set(LATCHKEY_WASM edge)

if(DEFINED ENV{WASI_SDK_PATH})
  file(TO_CMAKE_PATH "$ENV{WASI_SDK_PATH}" wasi_sdk)
  set(CMAKE_C_COMPILER "${wasi_sdk}/bin/clang")
  set(CMAKE_CXX_COMPILER "${wasi_sdk}/bin/clang++")
  set(CMAKE_SYSROOT "${wasi_sdk}/share/wasi-sysroot")
else()
  file(STRINGS "${CMAKE_CURRENT_LIST_DIR}/../cmake/llvm-version" llvm LIMIT_COUNT 1)
  set(CMAKE_C_COMPILER "clang-${llvm}")
  set(CMAKE_CXX_COMPILER "clang++-${llvm}")
  # Without these two the host's own headers stand at the end of the search path.
  set(CMAKE_C_FLAGS_INIT "-nostdlibinc -idirafter /usr/include/wasm32-wasi")
  set(CMAKE_CXX_FLAGS_INIT
    "-nostdlibinc -isystem /usr/include/wasm32-wasi/c++/v1 -idirafter /usr/include/wasm32-wasi")
endif()
# What every engine of the last five years runs: fills and copies as one instruction, checked conversions.
string(APPEND CMAKE_C_FLAGS_INIT " -mbulk-memory -msign-ext -mnontrapping-fptoint")
string(APPEND CMAKE_CXX_FLAGS_INIT " -mbulk-memory -msign-ext -mnontrapping-fptoint")
set(CMAKE_C_COMPILER_TARGET wasm32-wasi)
set(CMAKE_CXX_COMPILER_TARGET wasm32-wasi)

set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_PACKAGE ONLY)
