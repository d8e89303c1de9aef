/** A provider in a process of its own, and those that refresh against it: the shipped Worker and the baselines. */
import { randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { load, type KeyRing, type Latchkey } from 'latchkey'
import type { GitHubSettings } from '../servers/github-apps.ts'
import type { OidcSettings } from '../servers/oidc.ts'
import type { Connected, ProviderControl, Remote } from '../servers/control.ts'
import { spawnServer } from '../servers/serve.ts'
import type { Hit, Shot } from './volley.ts'
import { freePort } from '../servers/ports.ts'
import { shipped, startWorkerd, type Deployment, type Workerd } from './workerd.ts'

export type Kind = 'github' | 'oidc'
export const baselines = ['promise', 'lease', 'unlocked'] as const
export type Baseline = (typeof baselines)[number]

export interface Provider {
  readonly kind: Kind
  readonly address: string
  readonly control: Remote<ProviderControl<Partial<GitHubSettings & OidcSettings>>>
}

/** What a login shows on its way. */
export interface Watch {
  /** The code that the provider sent through the browser. */
  code?(code: string): void
  /** What was put into a baseline, which does not log in by itself. */
  pair?(pair: Connected): void
  /** Who is at the browser, where it is not the subject. */
  readonly login?: string
}

export interface Contender {
  readonly name: 'latchkey' | Baseline
  readonly worker: Workerd
  /** Gives that person a connection of their own. */
  connect(subject: string, watch?: Watch): Promise<void>
  /** A request for that person's token, or another verb of the connection. */
  ask(subject: string, verb?: string, body?: object): Shot
}

export interface Ours extends Contender {
  readonly lk: Latchkey
  /** Any request of the HTTP interface. */
  request(subject: string, method: string, path: string, body?: object): Shot
}

export interface Stage {
  readonly provider: Provider
  readonly ours: Ours
  readonly baseline: (name: Baseline) => Contender
  /** Ends everything that was started and removes what it wrote. */
  close(): Promise<void>
}

export interface StageOptions {
  readonly kind: Kind
  readonly settings?: Partial<GitHubSettings & OidcSettings>
  readonly baselines?: readonly Baseline[]
  /** Stands between the Worker and the token endpoint; takes the provider's address, gives its own. */
  readonly between?: (address: string) => Promise<string>
  readonly inspectorPort?: number
  readonly entry?: string
  /** What is said of the provider beside what it needs; takes its address. */
  readonly provider?: (address: string) => Readonly<Record<string, unknown>>
  /** Beside what the Worker binds. */
  readonly objects?: Deployment['objects']
  readonly services?: Deployment['services']
  readonly pinned?: boolean
  readonly outbound?: string
  /** Beside what its kind needs. */
  readonly server?: Readonly<Record<string, unknown>>
  readonly secrets?: Readonly<Record<string, string>>
}

const client = { clientId: 'client-1', clientSecret: 'secret-1' }
const tokenPaths: Readonly<Record<Kind, string>> = { github: '/login/oauth/access_token', oidc: '/token' }
const assertionMs = 20_000

export async function startStage(options: StageOptions): Promise<Stage> {
  const folder = await mkdtemp(join(tmpdir(), 'latchkey-load-'))
  const { kind } = options
  const closers: (() => Promise<void>)[] = [() => rm(folder, { recursive: true, force: true })]
  const close = async (): Promise<void> => {
    for (const one of closers.toReversed()) await one()
  }
  try {
    const port = await freePort()
    const server = await spawnServer(kind, {
      ...options.server,
      ...client,
      redirectUris: [`http://127.0.0.1:${port}/callback/${kind}`],
      settings: { latencyMs: [0, 0], ...options.settings },
    })
    closers.push(() => server.close())
    const provider: Provider = {
      kind,
      address: server.address,
      control: server.control as Provider['control'],
    }
    const tokenHost = (await options.between?.(server.address)) ?? server.address
    const ours = await startOurs(`${folder}/latchkey`, port, provider, tokenHost, options)
    closers.push(() => ours.worker.stop())
    const others = new Map<Baseline, Contender>()
    for (const name of options.baselines ?? []) {
      const other = await startBaseline(`${folder}/${name}`, name, provider, tokenHost)
      closers.push(() => other.worker.stop())
      others.set(name, other)
    }
    const baseline = (name: Baseline): Contender => {
      const found = others.get(name)
      if (!found) throw new Error(`the baseline ${name} was not started`)
      return found
    }
    return { provider, ours, baseline, close }
  } catch (error) {
    await close()
    throw error
  }
}

async function startOurs(
  folder: string,
  port: number,
  { kind, address }: Provider,
  tokenHost: string,
  {
    entry,
    objects = [],
    services = [],
    pinned = false,
    inspectorPort,
    provider,
    outbound,
    secrets = {},
  }: StageOptions,
): Promise<Ours> {
  const lk = await load()
  const base = await shipped(entry)
  const principalKey = lk.keys.generate('caller-1', randomBytes(32))
  const endpoints =
    kind === 'github'
      ? {
          profile: 'github-app',
          authorizationUrl: `${address}/login/oauth/authorize`,
          userInfoUrl: `${address}/user`,
        }
      : {
          profile: 'generic',
          authorizationUrl: `${address}/auth`,
          userInfoUrl: `${address}/me`,
          revocationUrl: `${address}/token/revocation`,
          introspectionUrl: `${address}/token/introspection`,
          issuer: address,
        }
  const scopes = kind === 'github' ? [] : ['openid', 'offline_access']
  const tokenUrl = `${tokenHost}${tokenPaths[kind]}`
  const deployment: Deployment = {
    ...base,
    objects: [...base.objects, ...objects],
    services,
    pinned,
    ...(outbound !== undefined && { outbound }),
    vars: {
      LATCHKEY_DEV: '1',
      ENABLE_CONNECT: 'true',
      PUBLIC_BASE_URL: `http://127.0.0.1:${port}`,
      LATCHKEY_KEYS: lk.keys.generate('load-1', randomBytes(32)),
      LATCHKEY_PRINCIPAL_KEY: principalKey,
      LATCHKEY_PROVIDERS: JSON.stringify({
        [kind]: { ...endpoints, ...provider?.(address), tokenUrl, clientId: client.clientId, scopes },
      }),
      [`${kind.toUpperCase()}_CLIENT_SECRET`]: client.clientSecret,
      ...secrets,
    },
  }
  const worker = await startWorkerd(folder, port, deployment, inspectorPort)
  const assertion = assertions(lk, lk.keys.parse(principalKey))
  const headersOf = (subject: string) => ({ authorization: `Bearer ${assertion(subject)}` })
  const request = (subject: string, method: string, path: string, body?: object): Shot => ({
    path,
    method,
    headers: {
      ...headersOf(subject),
      ...(body !== undefined && { 'content-type': 'application/json' }),
    },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  })
  return {
    name: 'latchkey',
    lk,
    worker,
    request,
    ask: (subject, verb = 'token', body = {}) =>
      request(subject, 'POST', `/api/connections/${kind}/${verb}`, body),
    connect: (subject, watch) => connectThrough(worker.address, kind, subject, headersOf(subject), watch),
  }
}

/** One is made once and used again for a while, shorter than the least that it lives. */
function assertions(lk: Latchkey, ring: KeyRing): (subject: string) => string {
  const made = new Map<string, { readonly text: string; readonly until: number }>()
  return (subject) => {
    const now = Date.now()
    const known = made.get(subject)
    if (known && known.until > now) return known.text
    const text = lk.principal.issue(ring, { subject, kind: 'service' }, { now })
    made.set(subject, { text, until: now + assertionMs })
    return text
  }
}

const stepLimit = 12

/** The whole way that a browser goes: our redirect, the provider's consent, our callback. */
async function connectThrough(
  address: string,
  kind: Kind,
  subject: string,
  headers: { readonly authorization: string },
  watch: Watch = {},
): Promise<void> {
  const jars = new Map<string, Map<string, string>>()
  let url = new URL(`${address}/connect/${kind}?owner=user&return_to=/`)
  for (let step = 0; step < stepLimit; step += 1) {
    const mine = url.origin === address
    const jar = jars.get(url.host) ?? new Map<string, string>()
    jars.set(url.host, jar)
    const cookie = [...jar].map(([name, value]) => `${name}=${value}`).join('; ')
    const response = await fetch(url, { headers: { cookie, ...(mine && headers) }, redirect: 'manual' })
    await response.body?.cancel()
    for (const line of response.headers.getSetCookie()) {
      const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(line) ?? []
      jar.set(name, value)
    }
    const location = response.headers.get('location')
    if (location === null) throw new Error(`no way on from ${url.pathname}: ${response.status}`)
    const callback = mine && url.pathname.startsWith('/callback/')
    const code = mine ? null : new URL(location, url).searchParams.get('code')
    if (code !== null) watch.code?.(code)
    const authorizes = mine && url.pathname.startsWith('/connect/')
    url = new URL(location, url)
    if (callback) {
      if (!url.searchParams.has('connected')) throw new Error(`not connected: ${url.search}`)
      return
    }
    // Who is at the browser: what both providers take instead of a person.
    if (authorizes) url.searchParams.set(kind === 'github' ? 'login' : 'login_hint', watch.login ?? subject)
  }
  throw new Error('the authorization server sends in circles')
}

async function startBaseline(
  folder: string,
  name: Baseline,
  { kind, control }: Provider,
  tokenHost: string,
): Promise<Contender> {
  const [binding, className] = name === 'promise' ? ['CONNECTION', 'Connection'] : ['TABLE', 'Table']
  const worker = await startWorkerd(folder, await freePort(), {
    entry: fileURLToPath(new URL(`./baselines/${name}.ts`, import.meta.url)),
    compatibilityDate: (await shipped()).compatibilityDate,
    objects: [{ name: binding, class_name: className }],
    // What keeps nothing on disk would be gone with the first idle seconds.
    pinned: name === 'promise',
    vars: {
      TOKEN_URL: `${tokenHost}${tokenPaths[kind]}`,
      CLIENT_ID: client.clientId,
      CLIENT_SECRET: client.clientSecret,
      AUTH_STYLE: kind === 'oidc' ? 'basic' : 'body',
    },
  })
  return {
    name,
    worker,
    ask: (subject, verb = 'token', body = {}) => ({
      path: `/api/connections/${kind}/${verb}`,
      method: 'POST',
      headers: { 'x-subject': subject, 'content-type': 'application/json' },
      body: JSON.stringify(body),
    }),
    async connect(subject, watch) {
      const connected = await control.connect(subject)
      watch?.pair?.(connected)
      const { accessToken, refreshToken } = connected
      const pair = { accessToken, refreshToken, expiresAt: 0 }
      const headers = { 'x-subject': subject }
      const response = await fetch(`${worker.address}/seed`, {
        method: 'PUT',
        headers,
        body: JSON.stringify(pair),
      })
      if (!response.ok) throw new Error(`the baseline ${name} was not seeded`)
    },
  }
}

/** So many at once, until all are done. */
export async function inParallel<Item>(
  items: Iterable<Item>,
  atOnce: number,
  run: (item: Item) => Promise<void>,
): Promise<void> {
  const iterator = items[Symbol.iterator]()
  const work = async (): Promise<void> => {
    for (let next = iterator.next(); !next.done; next = iterator.next()) await run(next.value)
  }
  await Promise.all(Array.from({ length: atOnce }, work))
}

/** A caller that got a token. */
export const served = ({ status, body }: Hit): boolean =>
  status === 200 && typeof body['accessToken'] === 'string'
