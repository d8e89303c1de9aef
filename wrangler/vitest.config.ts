import { cloudflareTest } from '@cloudflare/vitest-plugin'
import { fileURLToPath } from 'node:url'
import { defineConfig } from 'vitest/config'
import { testVariables } from '../tests/worker/variables.ts'

export default defineConfig({
  plugins: [
    cloudflareTest(({ inject }) => ({
      wrangler: { configPath: './wrangler.jsonc' },
      miniflare: {
        bindings: testVariables(inject<string>('issuer'), inject<string>('tokenServer'), {
          github: inject<string>('github'),
          appKeys: inject<string[]>('appKeys'),
        }),
      },
    })),
  ],
  test: {
    dir: fileURLToPath(new URL('../tests/worker', import.meta.url)),
    include: ['*.test.ts'],
    globalSetup: ['../tests/worker/servers.ts'],
    testTimeout: 60_000,
    hookTimeout: 60_000,
  },
})
