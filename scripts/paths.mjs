import { fileURLToPath } from 'node:url'

export const root = fileURLToPath(new URL('..', import.meta.url)).replace(/\/$/, '')

export const modulePaths = {
  edge: `${root}/build/wasi/wasm/latchkey.wasm`,
  sign: `${root}/build/wasi/wasm/latchkey-sign.wasm`,
  verify: `${root}/build/emscripten/wasm/latchkey-verify.wasm`,
}

// What every tool is started with: the tools of node_modules first, no colours in logs, nothing sent anywhere.
export const toolEnv = {
  ...process.env,
  PATH: `${root}/node_modules/.bin:${process.env.PATH}`,
  NO_COLOR: '1',
  FORCE_COLOR: undefined,
  WRANGLER_SEND_METRICS: 'false',
  DO_NOT_TRACK: '1',
}
