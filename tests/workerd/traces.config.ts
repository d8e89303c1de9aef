import { cloudflareTest } from '@cloudflare/vitest-plugin'
import { defineConfig } from 'vitest/config'
import { readTraces } from '../js/native_traces.ts'

export default defineConfig({
  plugins: [
    cloudflareTest({
      miniflare: {
        compatibilityDate: '2026-10-01',
        modulesRules: [{ type: 'CompiledWasm', include: ['**/*.wasm'] }],
      },
    }),
  ],
  test: {
    include: ['traces.test.ts'],
    provide: { traces: readTraces() },
    testTimeout: 60_000,
    hookTimeout: 60_000,
  },
})
