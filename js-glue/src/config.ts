import { abi } from './abi.gen.ts'
import { LatchkeyError } from './errors.ts'
import { Ring } from './keys.ts'
import { type Module, place } from './module.ts'
import type { Config, GitHost, KeyRing, ProviderSettings, RefreshFacts, RevocationRequest } from './types.ts'

const reply = 'ConfigReply'
const providerFields = 21
// Only these cross: an environment holds much that is none of the module's business.
const known =
  /^(?:LATCHKEY_(?:KEYS|PRINCIPAL_KEY|DEV|PROVIDERS)|PUBLIC_BASE_URL|ENABLE_CONNECT|RUN_RETENTION_MS|[A-Z0-9_]+_(?:CLIENT_SECRET|WEBHOOK_SECRET|DEPLOYMENT_TOKEN|APP_KEY))$/

const own = /^(?:LATCHKEY_|PUBLIC_BASE_URL$|ENABLE_CONNECT$)/
const maxValue = 32_768
/** Why a length of time that was said is not the one that holds. */
const unusable: ReadonlySet<string> = new Set(['blank', 'not_a_number', 'negative', 'too_large'])

const separators = { 1: ' ', 2: ',' } as const
const authStyles = { 1: 'basic', 2: 'body' } as const
const responseModes = { 1: 'query', 2: 'form_post' } as const

// By their numbers in the core.
const rotations = ['none', 'grace_same', 'grace_new', 'strict_refused', 'family_revoked'] as const
const owners = abi.enums.scope
const refreshFlags = 8
const gitFlags = 2
const revocations = ['none', 'token', 'grant'] as const
const shapes: readonly Omit<RevocationRequest, 'url'>[] = [
  { method: 'POST', credentials: 'client', body: 'form', member: 'token', token: 'refresh' },
  { method: 'DELETE', credentials: 'basic', body: 'json', member: 'access_token', token: 'access' },
  { method: 'POST', credentials: 'bearer', body: 'none', member: 'token', token: 'access' },
]

export function checkConfig(module: Module, vars: Readonly<Record<string, string | undefined>>): Config {
  const entries: string[] = []
  for (const [name, value] of Object.entries(vars) as [string, unknown][]) {
    if (value === undefined || !known.test(name)) continue
    if (typeof value === 'string' && value.length <= maxValue && value.isWellFormed()) {
      entries.push(name, value)
    } else if (typeof value === 'string' || own.test(name)) {
      throw new LatchkeyError('config_invalid', name)
    }
  }
  try {
    const { at, length } = module.putList(entries)
    try {
      module.call('lk_config_check', at, length, module.free)
    } catch (error) {
      if (!(error instanceof LatchkeyError)) throw error
      throw new LatchkeyError(error.code, module.text(place(reply, 'variable')) || undefined)
    }
    const ring = (bytes: Uint8Array): KeyRing => new Ring(bytes) as unknown as KeyRing
    const principalKeys = module.bytes(place(reply, 'principal_keys'))
    return {
      baseUrl: module.text(place(reply, 'base_url')),
      dev: module.u8[place(reply, 'dev')] === 1,
      connectEnabled: module.u8[place(reply, 'connect_enabled')] === 1,
      runRetentionMs: module.f64[place(reply, 'run_retention_ms') >>> 3]!,
      warnings: unusable.has(abi.enums.taken[module.u8[place(reply, 'run_retention_taken')]!] ?? '')
        ? ['RUN_RETENTION_MS']
        : [],
      keys: ring(module.bytes(place(reply, 'keys'))),
      ...(principalKeys.length === 0 ? undefined : { principalKeys: ring(principalKeys) }),
      providers: readProviders(module),
    }
  } finally {
    module.wipe()
  }
}

function readProviders(module: Module): ProviderSettings[] {
  let at = module.word(place(reply, 'providers'))
  const u16 = (): number => {
    const value = module.u8[at]! | (module.u8[at + 1]! << 8)
    at += 2
    return value
  }
  const text = (): string => {
    const length = u16()
    const value = module.decode(at, length)
    at += length
    return value
  }
  return Array.from({ length: u16() }, () => readProvider(Array.from({ length: providerFields }, text)))
}

function readProvider(fields: readonly string[]): ProviderSettings {
  const [name, profile, title, clientId, authorizationUrl, tokenUrl] = fields as [string, ...string[]]
  const [revocationUrl, userInfoUrl, scopes, asIssuer, clientSecretName, webhookSecretName, ...rest] =
    fields.slice(6) as [string, string, string, string, string, string, ...string[]]
  const [
    flags,
    lengths,
    gitHost,
    gitBase,
    gitUser,
    deploymentTokenName,
    appUrl,
    appKeyName,
    introspectionUrl,
  ] = rest as [string, string, string, string, string, string, string, string, string]
  const [separator, auth, mode, pkce, issRequired, shape, ...facts] = flags
  const optional = <K extends string>(key: K, value: string): { [k in K]: string } | undefined =>
    value === '' ? undefined : ({ [key]: value } as { [k in K]: string })
  return {
    name,
    profile: profile!,
    title: title!,
    clientId: clientId!,
    authorizationUrl: authorizationUrl!,
    tokenUrl: tokenUrl!,
    ...optional('revocationUrl', shape === '0' ? revocationUrl : ''),
    ...readRevocation(Number(shape), revocationUrl, clientId!),
    refresh: readFacts(facts.slice(0, refreshFlags).map(Number), lengths.split(' ').map(Number)),
    policy: readPolicy(facts.slice(refreshFlags + gitFlags).map(Number)),
    ...optional('userInfoUrl', userInfoUrl),
    ...optional('introspectionUrl', introspectionUrl),
    ...optional('asIssuer', asIssuer),
    ...optional('clientSecretName', clientSecretName),
    ...optional('webhookSecretName', webhookSecretName),
    ...optional('deploymentTokenName', deploymentTokenName),
    scopes: scopes === '' ? [] : scopes.split(' '),
    scopeSeparator: separators[separator as '1' | '2'],
    authStyle: authStyles[auth as '1' | '2'],
    responseMode: responseModes[mode as '1' | '2'],
    pkce: pkce === '1',
    issRequired: issRequired === '1',
    ...(appKeyName !== '' && { app: { url: appUrl, keyName: appKeyName } }),
    ...(gitHost !== '' && { git: readGit(facts.slice(refreshFlags).map(Number), gitHost, gitBase, gitUser) }),
  }
}

function readPolicy([
  personalOnly,
  deployment,
  pastRevoked,
  ...order
]: readonly number[]): ProviderSettings['policy'] {
  return {
    order: order.flatMap((scope) =>
      scope === 0 ? [] : [owners[scope]!],
    ) as ProviderSettings['policy']['order'],
    personalOnly: personalOnly === 1,
    deployment: deployment === 1,
    pastRevoked: pastRevoked === 1,
  }
}

function readRevocation(
  shape: number,
  url: string,
  clientId: string,
): { revocation: RevocationRequest } | undefined {
  if (url === '') return undefined
  return {
    revocation: { url: url.replaceAll('{client_id}', () => encodeURIComponent(clientId)), ...shapes[shape]! },
  }
}

const readGit = (
  [provider, plain]: readonly number[],
  host: string,
  base: string,
  user: string,
): GitHost => ({
  provider: abi.enums.repoProvider[provider!]!,
  host,
  user,
  ...(base !== '' && { base }),
  ...(plain === 1 && { plain: true }),
})

function readFacts(flags: readonly number[], lengths: readonly number[]): RefreshFacts {
  const [rotation, afterGrace, revocation, needsLive, oldDies, redirectUri, unspent, proactive] = flags
  const [grace, access, maxAccess, idle, absolute, timeOut, lag, ttl] = lengths
  return {
    traits: {
      rotation: rotations[rotation!]!,
      afterGrace: rotations[afterGrace!]!,
      revocation: revocations[revocation!]!,
      revocationNeedsLive: needsLive === 1,
      oldAccessDies: oldDies === 1,
      graceMs: grace!,
      accessLifetimeMs: access!,
      maxAccessLifetimeMs: maxAccess!,
      refreshIdleMs: idle!,
      refreshAbsoluteMs: absolute!,
      timeOutMs: timeOut!,
      lagMs: lag!,
    },
    accessTtlMs: ttl!,
    needsRedirectUri: redirectUri === 1,
    serverErrorsUnspent: unspent === 1,
    proactive: proactive === 1,
  }
}
