import { LatchkeyError, loadSync, type Config, type Latchkey, type ProviderSettings } from 'latchkey'
import type { Env } from './env.ts'
import { Refusal } from './refusal.ts'

/** The core, the checked configuration and the bindings: what every answer is made from. */
export interface App {
  readonly lk: Latchkey
  readonly config: Config
  readonly env: Env
}

let core: Latchkey | undefined
const opened = new WeakMap<Env, App | Refusal>()

/** Checks the configuration once per isolate. A bad one refuses every request and is logged once. */
export function openApp(env: Env): App {
  let app = opened.get(env)
  if (app === undefined) {
    app = check(env)
    opened.set(env, app)
  }
  if (app instanceof Refusal) throw app
  return app
}

function check(env: Env): App | Refusal {
  const lk = (core ??= loadSync())
  try {
    const config = lk.config.check(texts(env))
    for (const name of config.warnings)
      console.warn(`latchkey: ${name} cannot be used; its default holds instead`)
    return { lk, config, env }
  } catch (error) {
    if (!(error instanceof LatchkeyError)) throw error
    const trouble = error.code === 'config_missing' ? 'is not set' : 'cannot be used'
    console.error(`latchkey does not start: ${error.at ?? 'the configuration'} ${trouble}`)
    return new Refusal('misconfigured')
  }
}

const texts = (env: Env): Record<string, string> =>
  Object.fromEntries(
    Object.entries(env).filter((entry): entry is [string, string] => typeof entry[1] === 'string'),
  )

/** A public client has none. */
export const clientSecret = (app: App, { clientSecretName }: ProviderSettings): string | undefined =>
  clientSecretName === undefined ? undefined : texts(app.env)[clientSecretName]

/** Absent where no webhooks are expected. */
export const webhookSecret = (app: App, { webhookSecretName }: ProviderSettings): string | undefined =>
  webhookSecretName === undefined ? undefined : texts(app.env)[webhookSecretName]

/** Absent where the client does not act as an app. */
export const appKey = (app: App, { app: settings }: ProviderSettings): string | undefined =>
  settings === undefined ? undefined : texts(app.env)[settings.keyName]

/** Absent where the deployment's own may not be used. */
export const deploymentToken = (app: App, { deploymentTokenName }: ProviderSettings): string | undefined =>
  deploymentTokenName === undefined ? undefined : texts(app.env)[deploymentTokenName]

export function providerNamed(app: App, name: string): ProviderSettings {
  const provider = app.config.providers.find((candidate) => candidate.name === name)
  if (!provider) throw new Refusal('provider_unknown')
  return provider
}

/** RFC 6749 section 3.1.2: one fixed redirect URI per provider, from configuration, never from a header. */
export const redirectUri = (app: App, provider: ProviderSettings): string =>
  `${app.config.baseUrl}/callback/${provider.name}`

export const random = (size: number): Uint8Array => crypto.getRandomValues(new Uint8Array(size))
