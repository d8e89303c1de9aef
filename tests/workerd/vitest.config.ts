import { cloudflareTest } from '@cloudflare/vitest-plugin'
import { defineConfig } from 'vitest/config'
import { readChoices, readDigest, readDocuments } from '../js/documents.ts'

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
    include: ['vectors.test.ts'],
    testTimeout: 60_000,
    hookTimeout: 60_000,
    provide: { documents: readDocuments(), digest: readDigest(), choices: readChoices() },
  },
})
