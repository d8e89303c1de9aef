# Native clang, in the one version that cmake/llvm-version names.
file(STRINGS "${CMAKE_CURRENT_LIST_DIR}/llvm-version" llvm LIMIT_COUNT 1)
set(CMAKE_C_COMPILER "clang-${llvm}")
set(CMAKE_CXX_COMPILER "clang++-${llvm}")
