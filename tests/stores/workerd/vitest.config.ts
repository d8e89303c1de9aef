import { cloudflareTest } from '@cloudflare/vitest-plugin'
import { defineConfig } from 'vitest/config'

export default defineConfig({
  plugins: [
    cloudflareTest({
      main: './worker.ts',
      miniflare: {
        compatibilityDate: '2026-10-01',
        modulesRules: [{ type: 'CompiledWasm', include: ['**/*.wasm'] }],
        durableObjects: { BOX: { className: 'Box', useSQLite: true } },
        d1Databases: ['DB'],
      },
    }),
  ],
  test: { include: ['*.test.ts'], testTimeout: 60_000, hookTimeout: 60_000 },
})
