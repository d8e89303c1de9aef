import { ringText } from '../reference.ts'
import { bothKeys, counting, document, Group, k2, k3, repeated, ring } from './common.ts'

const check = new Group('config.check')
type Vars = Readonly<Record<string, unknown>>
const github = { profile: 'github-app', clientId: 'Iv1.abc' }
const providers = (members: object): string => JSON.stringify(members)
const vars = {
  LATCHKEY_KEYS: ring,
  PUBLIC_BASE_URL: 'https://app.example',
  LATCHKEY_PROVIDERS: providers({ github }),
  GITHUB_CLIENT_SECRET: 'shh',
}
const hour = 3_600_000
const day = 24 * hour
const safeTraits = {
  rotation: 'family_revoked',
  afterGrace: 'family_revoked',
  revocation: 'none',
  revocationNeedsLive: false,
  oldAccessDies: false,
  graceMs: 0,
  accessLifetimeMs: hour,
  maxAccessLifetimeMs: day,
  refreshIdleMs: 0,
  refreshAbsoluteMs: 0,
  timeOutMs: 0,
  lagMs: 0,
}
const safe = {
  traits: safeTraits,
  accessTtlMs: hour,
  needsRedirectUri: false,
  serverErrorsUnspent: false,
  proactive: false,
}
const githubTraits = {
  ...safeTraits,
  rotation: 'strict_refused',
  revocation: 'token',
  revocationNeedsLive: true,
  oldAccessDies: true,
  accessLifetimeMs: 0,
  refreshIdleMs: 183 * day,
}
const usualPolicy = {
  order: ['user', 'org', 'deployment'],
  personalOnly: false,
  deployment: false,
  pastRevoked: false,
}
const rfc7009 = (url: string): Vars => ({
  url,
  method: 'POST',
  credentials: 'client',
  body: 'form',
  member: 'token',
  token: 'refresh',
})
const githubSettings = {
  name: 'github',
  title: 'GitHub',
  profile: 'github-app',
  clientId: 'Iv1.abc',
  authorizationUrl: 'https://github.com/login/oauth/authorize',
  tokenUrl: 'https://github.com/login/oauth/access_token',
  userInfoUrl: 'https://api.github.com/user',
  scopes: [],
  scopeSeparator: ' ',
  authStyle: 'body',
  responseMode: 'query',
  pkce: true,
  issRequired: false,
  clientSecretName: 'GITHUB_CLIENT_SECRET',
  revocation: {
    url: 'https://api.github.com/applications/Iv1.abc/token',
    method: 'DELETE',
    credentials: 'basic',
    body: 'json',
    member: 'access_token',
    token: 'access',
  },
  refresh: { ...safe, traits: githubTraits, accessTtlMs: 8 * hour },
  git: { provider: 'github', host: 'github.com', user: 'x-access-token' },
  policy: usualPolicy,
}
const config = {
  baseUrl: 'https://app.example',
  dev: false,
  connectEnabled: false,
  runRetentionMs: day,
  warnings: [],
  kids: ['k1'],
  providers: [githubSettings],
}
const good = (name: string, comment: string, changes: Vars = {}, expect: Vars = {}): void =>
  check.good(name, comment, { vars: { ...vars, ...changes } }, { ...config, ...expect })
const invalid = (name: string, comment: string, variable: string, changes: Vars): void =>
  check.bad(name, comment, { vars: { ...vars, ...changes } }, 'config_invalid', variable)
const missing = (name: string, comment: string, variable: string, changes: Vars): void =>
  check.bad(name, comment, { vars: { ...vars, ...changes } }, 'config_missing', variable)

good('least', 'What is required.')
const withOwners = (members: object): Vars => ({
  LATCHKEY_PROVIDERS: providers({ github: { ...github, ...members } }),
})
good(
  'owners',
  'Whose connection a call uses, in which order.',
  withOwners({ owners: ['org', 'user'], pastRevoked: true }),
  {
    providers: [{ ...githubSettings, policy: { ...usualPolicy, order: ['org', 'user'], pastRevoked: true } }],
  },
)
good('owners-personal', 'Nothing but the own.', withOwners({ personalOnly: true }), {
  providers: [{ ...githubSettings, policy: { ...usualPolicy, personalOnly: true } }],
})
good(
  'owners-deployment',
  'The deployment\u2019s own token may be used.',
  { ...withOwners({ deployment: true }), GITHUB_DEPLOYMENT_TOKEN: 't' },
  {
    providers: [
      {
        ...githubSettings,
        policy: { ...usualPolicy, deployment: true },
        deploymentTokenName: 'GITHUB_DEPLOYMENT_TOKEN',
      },
    ],
  },
)
check.bad(
  'owners-no-token',
  'A token that may be used has to be there.',
  { vars: { ...vars, ...withOwners({ deployment: true }) } },
  'config_missing',
  'GITHUB_DEPLOYMENT_TOKEN',
)
for (const [name, members] of Object.entries({
  unknown: { owners: ['team'] },
  twice: { owners: ['user', 'user'] },
  none: { owners: [] },
  workspace: { owners: ['workspace'] },
  contrary: { personalOnly: true, deployment: true },
  needless: { personalOnly: true, owners: ['user'] },
  placeless: { deployment: true, owners: ['user', 'org'] },
}))
  check.bad(
    `owners-${name}`,
    'T21: what is no order, or would never come to anything.',
    { vars: { ...vars, ...withOwners(members) } },
    'config_invalid',
    'LATCHKEY_PROVIDERS',
  )
good('others', 'Variables of others are none of our business.', { PATH: '/bin', LATCHKEY_COLOUR: 'red' })

const keys = 'LATCHKEY_KEYS'
missing('keys-missing', 'No keys.', keys, { [keys]: undefined })
missing('keys-empty', 'Empty is missing.', keys, { [keys]: '' })
good('keys-two', 'More keys than one.', { [keys]: bothKeys }, { kids: ['k1', 'k2'] })
invalid('keys-invalid', 'T14: the same rules as `keys.parse`.', keys, { [keys]: 'k1:00' })
invalid('keys-twice', 'T14: the same rules as `keys.parse`.', keys, { [keys]: `${ring},${ring}` })

const principal = 'LATCHKEY_PRINCIPAL_KEY'
good('principal', 'Keys for assertions.', { [principal]: ringText(k2, k3) }, { principalKids: ['k2', 'k3'] })
invalid('principal-empty', 'Set to nothing.', principal, { [principal]: '' })
invalid('principal-invalid', 'T14: the same rules as `keys.parse`.', principal, { [principal]: 'k2' })
invalid('principal-shared', 'One key for two things, even under another id.', principal, {
  [principal]: ringText({ ...k2, kid: 'p' }),
  [keys]: bothKeys,
})

const base = 'PUBLIC_BASE_URL'
missing('base-missing', 'No origin.', base, { [base]: undefined })
good('base-slash', 'One slash is cut.', { [base]: 'https://app.example/' })
good('base-default-port', 'A default port is cut.', { [base]: 'https://app.example:443/' })
good(
  'base-port',
  'Another port is kept.',
  { [base]: 'https://app.example:8443' },
  { baseUrl: 'https://app.example:8443' },
)
good(
  'base-loopback',
  'http to this machine.',
  { [base]: 'http://127.0.0.1:8787' },
  { baseUrl: 'http://127.0.0.1:8787' },
)
invalid('base-http', 'http to anywhere else.', base, { [base]: 'http://app.example' })
invalid('base-path', 'A path.', base, { [base]: 'https://app.example/app' })
invalid('base-query', 'A query.', base, { [base]: 'https://app.example/?a' })
invalid('base-user', 'User info.', base, { [base]: 'https://u@app.example' })
invalid('base-no-url', 'No URL.', base, { [base]: 'app.example' })
const labels = `${'a'.repeat(63)}.${'b'.repeat(63)}.${'c'.repeat(63)}`
const longHost = (size: number): string => `https://${labels}.${'d'.repeat(size - labels.length - 9)}`
good(
  'base-213-bytes',
  'The longest, so that every redirect URI fits into a claim.',
  { [base]: longHost(213) },
  { baseUrl: longHost(213) },
)
invalid('base-214-bytes', 'One byte too long.', base, { [base]: longHost(214) })

const dev = 'LATCHKEY_DEV'
const local = { [base]: 'http://localhost:8787' }
good('dev', 'Development on this machine.', { ...local, [dev]: '1' }, { baseUrl: local[base], dev: true })
good('dev-0', 'Switched off.', { [dev]: '0' })
good('dev-empty', 'Not said.', { [dev]: '' })
invalid('dev-elsewhere', 'Development anywhere else does not start.', dev, { [dev]: '1' })
invalid('dev-true', 'Exactly `1`.', dev, { ...local, [dev]: 'true' })

const connect = 'ENABLE_CONNECT'
good('retention', 'T57: how long runs are kept.', { RUN_RETENTION_MS: '60000' }, { runRetentionMs: 60_000 })
good(
  'retention-zero',
  'T57: 0 is meant where it is written.',
  { RUN_RETENTION_MS: '0' },
  { runRetentionMs: 0 },
)
for (const [name, text] of [
  ['empty', ''],
  ['blank', ' '],
  ['word', 'abc'],
  ['negative', '-1'],
  ['nan', 'NaN'],
  ['infinity', 'Infinity'],
  ['exponent', '1e999'],
  ['large', String(400 * day + 1)],
] as const)
  good(
    `retention-${name}`,
    'T57: unusable is the default, and one warning by name.',
    { RUN_RETENTION_MS: text },
    { warnings: ['RUN_RETENTION_MS'] },
  )
good('connect', 'Switched on.', { [connect]: 'true' }, { connectEnabled: true })
good('connect-false', 'Switched off.', { [connect]: 'false' })
good('connect-empty', 'Not said.', { [connect]: '' })
invalid('connect-1', 'Exactly `true`.', connect, { [connect]: '1' })
invalid('connect-case', 'Exactly `true`.', connect, { [connect]: 'True' })

const list = 'LATCHKEY_PROVIDERS'
const provider = (name: string, changes: Vars): Vars => ({
  [list]: providers({ [name]: { ...github, ...changes } }),
})
const wrong = (name: string, comment: string, changes: Vars): void =>
  invalid(`provider-${name}`, comment, list, provider('github', changes))
missing('providers-missing', 'No providers.', list, { [list]: undefined })
good('providers-none', 'An empty list is a list.', { [list]: '{}' }, { providers: [] })
invalid('providers-array', 'An object.', list, { [list]: '[]' })
invalid('providers-no-json', 'JSON.', list, { [list]: '{' })
invalid('providers-member-twice', 'No name twice.', list, { [list]: '{"a":{},"a":{}}' })
invalid('providers-32769-bytes', 'Too long.', list, {
  [list]: repeated(' ', 32_767, { before: '{', after: '}' }),
})
good(
  'providers-16384-bytes',
  'A long text is read.',
  { [list]: repeated(' ', 16_382, { before: '{', after: '}' }) },
  { providers: [] },
)

const publicClient = { ...github, public: true }
const named = (count: number): string =>
  providers(Object.fromEntries(Array.from({ length: count }, (_, i) => [`p${i}`, publicClient])))
const { clientSecretName: _, ...publicSettings } = githubSettings
good(
  'providers-32',
  'The most providers.',
  { [list]: named(32) },
  { providers: Array.from({ length: 32 }, (_, i) => ({ ...publicSettings, name: `p${i}` })) },
)
invalid('providers-33', 'One more.', list, { [list]: named(33) })

const everything = {
  profile: 'generic',
  clientId: 'c',
  title: 'Our Git',
  authorizationUrl: 'https://as.example/authorize?prompt=consent',
  tokenUrl: 'https://as.example/token',
  revocationUrl: 'https://as.example/revoke',
  userInfoUrl: 'https://as.example/me',
  introspectionUrl: 'https://as.example/introspect',
  issuer: 'https://as.example',
  responseMode: 'form_post',
  scopes: ['read', 'write'],
  public: false,
}
const everythingSettings = {
  name: 'my-git2',
  title: 'Our Git',
  profile: 'generic',
  clientId: 'c',
  authorizationUrl: 'https://as.example/authorize?prompt=consent',
  tokenUrl: 'https://as.example/token',
  revocationUrl: 'https://as.example/revoke',
  userInfoUrl: 'https://as.example/me',
  introspectionUrl: 'https://as.example/introspect',
  scopes: ['read', 'write'],
  scopeSeparator: ' ',
  authStyle: 'basic',
  responseMode: 'form_post',
  pkce: true,
  asIssuer: 'https://as.example',
  issRequired: false,
  clientSecretName: 'MY_GIT2_CLIENT_SECRET',
  webhookSecretName: 'MY_GIT2_WEBHOOK_SECRET',
  revocation: rfc7009('https://as.example/revoke'),
  refresh: { ...safe, traits: { ...safeTraits, revocation: 'grant' } },
  policy: usualPolicy,
}
good(
  'provider-everything',
  'Every setting said, and the names of both secrets.',
  { [list]: providers({ 'my-git2': everything }), MY_GIT2_CLIENT_SECRET: 's', MY_GIT2_WEBHOOK_SECRET: 'w' },
  { providers: [everythingSettings] },
)
const own = {
  profile: 'keycloak',
  clientId: 'c',
  public: true,
  authorizationUrl: 'https://as.example/a',
  tokenUrl: 'https://as.example/t',
}
const keycloak = {
  name: 'id',
  title: 'Keycloak',
  profile: 'keycloak',
  clientId: 'c',
  authorizationUrl: 'https://as.example/a',
  tokenUrl: 'https://as.example/t',
  scopes: [],
  scopeSeparator: ' ',
  authStyle: 'basic',
  responseMode: 'query',
  pkce: true,
  issRequired: false,
  refresh: safe,
  policy: usualPolicy,
}
good(
  'provider-issuer',
  'RFC 9207: a server that always sends `iss` is held to it where we know what it must be.',
  { [list]: providers({ id: { ...own, issuer: 'https://as.example/realm' } }) },
  { providers: [{ ...keycloak, asIssuer: 'https://as.example/realm', issRequired: true }] },
)
good(
  'provider-issuer-unknown',
  'And not where we do not.',
  { [list]: providers({ id: own }) },
  { providers: [keycloak] },
)
good(
  'provider-generic-title',
  'A generic provider is called what it was named.',
  { [list]: providers({ id: { ...own, profile: 'generic' } }) },
  { providers: [{ ...keycloak, profile: 'generic', title: 'id' }] },
)
good(
  'provider-public',
  'A client without a secret.',
  { [list]: providers({ github: publicClient }) },
  { providers: [publicSettings] },
)
good(
  'provider-dev-http',
  'In development http to this machine.',
  { ...local, [dev]: '1', [list]: providers({ id: { ...own, tokenUrl: 'http://localhost:9000/t' } }) },
  { baseUrl: local[base], dev: true, providers: [{ ...keycloak, tokenUrl: 'http://localhost:9000/t' }] },
)

good(
  'provider-git',
  'Repositories of our own.',
  { [list]: providers({ id: { ...own, gitUrl: 'https://git.example:443/our/git/' } }) },
  {
    providers: [
      { ...keycloak, git: { provider: 'git', host: 'git.example', base: '/our/git', user: 'oauth2' } },
    ],
  },
)
good(
  'provider-git-dev',
  'In development on this machine.',
  { ...local, [dev]: '1', [list]: providers({ id: { ...own, gitUrl: 'http://127.0.0.1:9418' } }) },
  {
    baseUrl: local[base],
    dev: true,
    providers: [
      { ...keycloak, git: { provider: 'git', host: '127.0.0.1:9418', plain: true, user: 'oauth2' } },
    ],
  },
)

for (const [name, comment, text] of [
  ['empty', 'An empty name.', ''],
  ['33', 'A name that is too long.', 'a'.repeat(33)],
  ['capital', 'Lower case.', 'GitHub'],
  ['dash-first', 'A dash in front.', '-github'],
  ['underscore', 'A character that names do not have.', 'my_git'],
  ['slash', 'A character that ends a path segment.', 'a/b'],
] as const) {
  invalid(`provider-name-${name}`, comment, list, provider(text, {}))
}
wrong('unknown-member', 'A member that we do not know.', { clientSecret: 'shh' })
wrong('profile-missing', 'No profile.', { profile: undefined })
wrong('profile-unknown', 'A profile that we do not have.', { profile: 'nobody' })
wrong('client-id-missing', 'No client id.', { clientId: undefined })
wrong('client-id-empty', 'An empty client id.', { clientId: '' })
wrong('client-id-256', 'A client id that is too long.', { clientId: 'c'.repeat(256) })
wrong('client-id-number', 'A client id is text.', { clientId: 1 })
wrong('title-65', 'A title that is too long.', { title: 't'.repeat(65) })
wrong('title-empty', 'An empty title.', { title: '' })
wrong('url-http', 'A URL in the clear.', { tokenUrl: 'http://as.example/token' })
wrong('url-user', 'A URL with user info.', { tokenUrl: 'https://u:p@as.example/token' })
wrong('url-fragment', 'A URL with a fragment.', { authorizationUrl: 'https://as.example/a#b' })
wrong('url-missing', 'A generic provider without URLs.', { profile: 'generic' })
wrong('url-empty', 'An empty URL is not an absent one.', { revocationUrl: '' })
wrong('introspection-http', 'A refresh token is sent there.', {
  introspectionUrl: 'http://as.example/introspect',
})
wrong('introspection-empty', 'An empty URL is not an absent one.', { introspectionUrl: '' })
wrong('git-query', 'A repository has no query.', { gitUrl: 'https://git.example/?a' })
wrong('git-dots', 'Dot segments in front of a repository.', { gitUrl: 'https://git.example/a/..' })
wrong('git-http', 'Repositories in the clear.', { gitUrl: 'http://git.example' })
wrong('issuer-query', 'RFC 9207 section 2: an issuer has no query.', { issuer: 'https://as.example/?a' })
wrong('response-mode', 'There is no such mode here.', { responseMode: 'fragment' })
wrong('scopes-text', 'Scopes are a list.', { scopes: 'read write' })
wrong('scopes-blank', 'A scope with a blank would be two.', { scopes: ['read write'] })
wrong('scopes-empty', 'An empty scope.', { scopes: [''] })
wrong('scopes-65', 'Too many scopes.', { scopes: Array.from({ length: 65 }, (_, i) => `s${i}`) })
wrong('scopes-comma', 'A comma where commas separate.', { profile: 'linear', scopes: ['read,write'] })
wrong('public-text', 'A truth value.', { public: 'true' })
wrong('public-without-pkce', 'RFC 9700 section 2.1.1: a public client needs PKCE.', {
  profile: 'slack',
  public: true,
})

// Refreshing.
const refreshed = (name: string, comment: string, profile: string, refresh: Vars, expect: Vars): void =>
  good(
    `refresh-${name}`,
    comment,
    { [list]: providers({ id: { ...own, profile, refresh } }) },
    {
      providers: [
        { ...keycloak, profile, title: profile === 'generic' ? 'id' : 'Keycloak', refresh: expect },
      ],
    },
  )
refreshed('unsaid', 'Nothing said: what the profile says.', 'keycloak', {}, safe)
refreshed(
  'everything',
  'Every fact said.',
  'generic',
  {
    rotation: 'grace_same',
    graceSeconds: 60,
    accessTtlSeconds: 604_800,
    idleSeconds: 1,
    absoluteSeconds: 3_162_240_000,
    timeoutSeconds: 14,
    lagSeconds: 3,
    oldAccessDies: true,
    needsRedirectUri: true,
    serverErrorsUnspent: true,
    proactive: true,
  },
  {
    traits: {
      ...safeTraits,
      rotation: 'grace_same',
      oldAccessDies: true,
      graceMs: 60_000,
      accessLifetimeMs: 7 * day,
      maxAccessLifetimeMs: 7 * day,
      refreshIdleMs: 1_000,
      refreshAbsoluteMs: 3_162_240_000_000,
      timeOutMs: 14_000,
      lagMs: 3_000,
    },
    accessTtlMs: 7 * day,
    needsRedirectUri: true,
    serverErrorsUnspent: true,
    proactive: true,
  },
)
for (const rotation of ['none', 'strict_refused', 'family_revoked']) {
  refreshed(
    rotation.replaceAll('_', '-'),
    'Another rotation.',
    'generic',
    { rotation },
    {
      ...safe,
      traits: { ...safeTraits, rotation },
    },
  )
}
refreshed(
  'lasting',
  'A token that does not expire.',
  'generic',
  { accessTtlSeconds: 0 },
  {
    ...safe,
    traits: { ...safeTraits, accessLifetimeMs: 0 },
    accessTtlMs: 0,
  },
)
for (const [name, comment, refresh] of [
  ['unknown', 'A member that we do not know.', { rotate: 'none' }],
  ['rotation', 'A rotation that there is not.', { rotation: 'single' }],
  ['grace-missing', 'A grace without a length.', { rotation: 'grace_new' }],
  ['grace-alone', 'A length without a grace.', { graceSeconds: 5 }],
  ['negative', 'A length below zero.', { idleSeconds: -1 }],
  ['fraction', 'Whole seconds.', { idleSeconds: 0.5 }],
  ['text', 'A number.', { idleSeconds: '60' }],
  ['century', 'Longer than a hundred years.', { absoluteSeconds: 3_162_240_001 }],
  ['flag', 'A truth value.', { oldAccessDies: 1 }],
  ['time-out', 'A lease of 15 s does not outlive such a request.', { timeoutSeconds: 15 }],
  ['array', 'An object.', []],
] as const) {
  wrong(`refresh-${name}`, comment, { refresh })
}

const secret = 'GITHUB_CLIENT_SECRET'
missing('secret-missing', 'No secret.', secret, { [secret]: undefined })
missing('secret-empty', 'Empty is missing.', secret, { [secret]: '' })
invalid('secret-control', 'A line end that was copied along.', secret, { [secret]: 'shh\n' })
invalid('secret-1025', 'A secret that is too long.', secret, { [secret]: 's'.repeat(1_025) })
good('secret-1024', 'The longest secret.', { [secret]: 's'.repeat(1_024) })
invalid('webhook-secret-empty', 'An optional secret that is set to nothing.', 'GITHUB_WEBHOOK_SECRET', {
  GITHUB_WEBHOOK_SECRET: '',
})

const appKey = 'GITHUB_APP_KEY'
const pem = '-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n'
good(
  'app',
  'An app that acts as itself.',
  { [appKey]: pem },
  { providers: [{ ...githubSettings, app: { url: 'https://api.github.com', keyName: appKey } }] },
)
good(
  'app-elsewhere',
  'An app of a server of one’s own, with a key in the older form.',
  {
    ...withOwners({ appUrl: 'https://git.example/api/v3' }),
    [appKey]: pem.replaceAll(' PRIVATE', ' RSA PRIVATE'),
  },
  { providers: [{ ...githubSettings, app: { url: 'https://git.example/api/v3', keyName: appKey } }] },
)
invalid('app-key-empty', 'An optional secret that is set to nothing.', appKey, { [appKey]: '' })
invalid('app-key-public', 'The other half of the key.', appKey, {
  [appKey]: pem.replaceAll('PRIVATE', 'PUBLIC'),
})
invalid('app-key-8193', 'A key that is too long.', appKey, { [appKey]: pem + 'A'.repeat(8_193 - pem.length) })
invalid('app-url-slash', 'A slash at the end would be two before a path.', list, {
  ...withOwners({ appUrl: 'https://git.example/' }),
})

invalid('order-keys', 'Keys come first.', keys, { [keys]: 'k1', [base]: undefined })
invalid('order-principal', 'Then the keys for assertions.', principal, { [principal]: 'k', [base]: 'x' })
invalid('order-base', 'Then the origin.', base, { [base]: 'x', [dev]: 'x' })
invalid('order-dev', 'Then development.', dev, { [dev]: 'x', [connect]: 'x' })
invalid('order-connect', 'Then the switch.', connect, { [connect]: 'x', [list]: 'x' })
invalid('order-providers', 'Then the providers.', list, { [list]: 'x', [secret]: undefined })
check.bad(
  'canary',
  'T07: no value of a variable is ever told.',
  { vars: { ...vars, [keys]: `k1:${counting(0, 31)}` } },
  'config_invalid',
  keys,
)

export default document(
  'The configuration from its variables. `kids` and `principalKids` stand for the rings; `at` names the variable that is wrong.',
  check,
)
