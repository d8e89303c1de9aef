import { LatchkeyError } from './errors.ts'
import { Ring } from './keys.ts'
import { type Module, place } from './module.ts'
import type { Config, KeyRing, ProviderSettings } from './types.ts'

const reply = 'ConfigReply'
const providerFields = 13
// Only these cross: an environment holds much that is none of the module's business.
const known =
  /^(?:LATCHKEY_(?:KEYS|PRINCIPAL_KEY|DEV|PROVIDERS)|PUBLIC_BASE_URL|ENABLE_CONNECT|[A-Z0-9_]+_(?:CLIENT|WEBHOOK)_SECRET)$/

const own = /^(?:LATCHKEY_|PUBLIC_BASE_URL$|ENABLE_CONNECT$)/
const maxValue = 32_768

const separators = { 1: ' ', 2: ',' } as const
const authStyles = { 1: 'basic', 2: 'body' } as const
const responseModes = { 1: 'query', 2: 'form_post' } as const

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
  const [revocationUrl, userInfoUrl, scopes, asIssuer, clientSecretName, webhookSecretName, flags] =
    fields.slice(6) as [string, string, string, string, string, string, string]
  const [separator, auth, mode, pkce, issRequired] = flags
  const optional = <K extends string>(key: K, value: string): { [k in K]: string } | undefined =>
    value === '' ? undefined : ({ [key]: value } as { [k in K]: string })
  return {
    name,
    profile: profile!,
    title: title!,
    clientId: clientId!,
    authorizationUrl: authorizationUrl!,
    tokenUrl: tokenUrl!,
    ...optional('revocationUrl', revocationUrl),
    ...optional('userInfoUrl', userInfoUrl),
    ...optional('asIssuer', asIssuer),
    ...optional('clientSecretName', clientSecretName),
    ...optional('webhookSecretName', webhookSecretName),
    scopes: scopes === '' ? [] : scopes.split(' '),
    scopeSeparator: separators[separator as '1' | '2'],
    authStyle: authStyles[auth as '1' | '2'],
    responseMode: responseModes[mode as '1' | '2'],
    pkce: pkce === '1',
    issRequired: issRequired === '1',
  }
}
