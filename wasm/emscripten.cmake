# Toolchain of the verify-only module: the Emscripten that `em-config` belongs to.
set(LATCHKEY_WASM verify)
execute_process(COMMAND em-config EMSCRIPTEN_ROOT
  OUTPUT_VARIABLE emscripten_root OUTPUT_STRIP_TRAILING_WHITESPACE RESULT_VARIABLE failed)
if(failed)
  message(FATAL_ERROR "Emscripten is missing; type: scripts/setup")
endif()
include("${emscripten_root}/cmake/Modules/Platform/Emscripten.cmake")
