// Every function of the package with arguments that it takes, and which of them come from outside.
import { createHmac } from 'node:crypto'
import type { RefreshStep } from '../src/refresh-types.ts'
import type { HttpAnswer, Latchkey, Signer, Verifier } from '../src/types.ts'
import { binding, canary, claims, entropy, expected, keyText, now } from './support.ts'

export interface Call {
  readonly name: string
  readonly run: (...args: never[]) => unknown
  /** Fresh at every use: some functions overwrite nothing, but a test may. */
  readonly args: () => unknown[]
  /** Paths of the arguments that a stranger can choose; whatever stands there, the answer is a code. */
  readonly data?: readonly string[]
  /** Paths of texts that nothing but their being text is asked of. */
  readonly free?: readonly string[]
  /** Where arguments lie that only the package itself makes, or that are read as JSON, or filtered. */
  readonly inner?: string
  /** The answer that says no; functions without one throw. */
  readonly isNo?: (answer: unknown) => boolean
}

const no = (answer: unknown) => answer === null || answer === false

export const environment = {
  LATCHKEY_KEYS: keyText,
  LATCHKEY_PRINCIPAL_KEY: `p1:${Buffer.from(canary('principal key')).toString('base64')}`,
  PUBLIC_BASE_URL: 'https://keys.example',
  LATCHKEY_PROVIDERS: JSON.stringify({
    git: { profile: 'gitlab', clientId: 'client-1', scopes: ['read_user', 'api'] },
    own: {
      profile: 'generic',
      clientId: 'client-2',
      authorizationUrl: 'https://id.example/auth',
      tokenUrl: 'https://id.example/token',
      issuer: 'https://id.example',
      public: true,
    },
  }),
  GIT_CLIENT_SECRET: 'canary-client-secret-3f9a',
  GIT_WEBHOOK_SECRET: 'canary-webhook-secret-71c2',
  ENABLE_CONNECT: 'true',
}

export const tokenAnswer = (): HttpAnswer => ({
  status: 200,
  contentType: 'application/json; charset=utf-8',
  body: Buffer.from(
    JSON.stringify({
      access_token: 'canary-access-token-5d21b7',
      refresh_token: 'canary-refresh-token-90cc1e',
      token_type: 'bearer',
      expires_in: 3600,
      refresh_token_expires_in: 86_400,
      scope: 'read_user api',
    }),
  ),
})
export const refreshAnswer = () => ({
  status: 200,
  headers: { 'Content-Type': 'application/json', 'X-RateLimit-Remaining': '7' },
  body: tokenAnswer().body,
})
export const accountAnswer = (): HttpAnswer => ({
  status: 200,
  contentType: 'application/json',
  body: Buffer.from('{"sub":"canary-account-id-42aa","id":1234567,"username":"canary-account-name"}'),
})

const repo = () => ({
  provider: 'github',
  host: 'github.com',
  owner: 'octo',
  name: 'hello',
})
const capabilityClaims = () =>
  ({
    purpose: 'git',
    subject: 'alex',
    owner: { kind: 'user', id: 'alex' },
    provider: 'github',
    repo: 'https://github.com/octo/hello.git',
    container: 'box-1',
    can: ['fetch', 'push'],
    epoch: 1,
    expiresAt: now + 3_600_000,
  }) as const

const webhookSecret = canary('webhook secret')
const webhookBody = (): Uint8Array => Buffer.from('{"event":{"type":"canary-webhook-event-4e1f"}}')
const slack = { profile: 'slack', now, timestamp: String(now / 1000) }
const signature = `v0=${createHmac('sha256', webhookSecret)
  .update(`v0:${slack.timestamp}:${Buffer.from(webhookBody()).toString()}`)
  .digest('hex')}`

export function latchkeyCalls(lk: Latchkey): Call[] {
  const ring = lk.keys.parse(keyText)
  const jwks = lk.keys.publicJwks(ring)
  const ctx = () => ({ now, entropy: entropy.slice() })
  const given = () => ({ ...claims, owner: { ...claims.owner }, binding: binding.slice() })
  const asked = () => ({ ...expected, binding: binding.slice() })
  const { token } = lk.state.issue(ring, claims, ctx())
  const eddsa = lk.state.issue(ring, { ...claims, alg: 'EdDSA' }, ctx()).token
  const state = lk.state.verify(ring, token, expected)
  const plain = canary('plain', 100)
  const sealed = lk.seal.seal(ring, plain, ['tokens', 'alex'], { entropy })
  const principal = { subject: 'alex', org: 'acme', role: 'admin', kind: 'device', device: 'd-1' } as const
  const assertion = lk.principal.issue(ring, principal, { now })
  const message = () =>
    ({
      id: 'message-1',
      turn: 'canary-turn-55b1',
      mode: 'code',
      model: 'a/one',
      modes: ['code', 'plan'],
      models: ['a/one'],
      offer: 'credential',
      composedAt: now,
    }) as const
  const marked = lk.admission.plan(message(), null, null, { now })
  if (marked.act !== 'write') throw new Error('a new message is not marked')
  const records = () => [marked.session.slice(), marked.message.slice()]
  const settings = () => ({ now, traits: { rotation: 'none' as const }, policy: {} })
  const facts = { lifetimeMs: 1000, hasRefresh: true, refreshSame: false, hasScope: false }
  // A login that is stored, and then a flow whose intent is: it waits for the provider's answer.
  const id = Buffer.from(canary('lineage', 16)).toString('base64url')
  const login = { kind: 'begin', task: 'login', id, tokens: facts, at: now, entropy } as const
  const stored = lk.refresh.step(null, null, login, settings())
  const later = { ...settings(), now: now + 2000 }
  const taking = lk.refresh.step(stored.row, null, { kind: 'begin', task: 'fetch', entropy }, later)
  const sending = lk.refresh.step(taking.row, taking.flow, { kind: 'stored' }, later)
  const row = taking.row!
  const waiting = sending.flow
  return [
    { name: 'keys.generate', run: lk.keys.generate, args: () => ['k2', entropy.slice()] },
    { name: 'keys.parse', run: lk.keys.parse, args: () => [keyText] },
    { name: 'keys.publicJwks', run: lk.keys.publicJwks, args: () => [ring] },
    {
      name: 'state.issue',
      run: lk.state.issue,
      args: () => [ring, given(), ctx()],
      free: ['1.issuer', '1.audience', '1.flow', '1.provider', '1.subject', '1.owner.id', '1.app'],
    },
    {
      name: 'state.issue',
      run: lk.state.issue,
      args: () => [ring, { ...given(), alg: 'EdDSA', ttlMs: 60_000 }, ctx()],
    },
    { name: 'state.verify', run: lk.state.verify, args: () => [ring, token, asked()], data: ['1'] },
    {
      name: 'state.verify',
      run: lk.state.verify,
      args: () => [ring, eddsa, { ...asked(), skewMs: 0 }],
      data: ['1'],
    },
    {
      name: 'state.verify',
      run: lk.state.verify,
      args: () => [structuredClone(jwks), eddsa, asked()],
      data: ['1'],
      inner: '0.',
    },
    { name: 'state.peek', run: lk.state.peek, args: () => [token], data: ['0'] },
    { name: 'state.codeVerifier', run: lk.state.codeVerifier, args: () => [ring, { ...state }], inner: '1.' },
    {
      name: 'callback.plan',
      run: lk.callback.plan,
      args: () => [
        {
          params: [
            ['state', token],
            ['code', 'canary-code-88ef21'],
            ['iss', 'https://id.example'],
          ],
          state: { ...state },
          session: { subject: 'alex', asIssuer: 'https://id.example', issRequired: true },
        },
      ],
      inner: '0.state.',
      data: ['0.params.0.0', '0.params.0.1', '0.params.1.1', '0.params.2.1'],
      isNo: (plan) => (plan as { action: string }).action === 'redirect',
    },
    {
      name: 'returnTo',
      run: lk.returnTo,
      args: () => ['/app/a/../b?x=1#y', { base: '/app' }],
      data: ['0'],
      isNo: no,
    },
    {
      name: 'seal.seal',
      run: lk.seal.seal,
      args: () => [ring, plain.slice(), ['tokens', 'alex'], { entropy: entropy.slice() }],
      free: ['2.0', '2.1'],
    },
    { name: 'seal.open', run: lk.seal.open, args: () => [ring, sealed, ['tokens', 'alex']], data: ['1'] },
    {
      name: 'principal.issue',
      run: lk.principal.issue,
      args: () => [ring, { ...principal }, { now, ttlMs: 60_000 }],
      free: ['1.subject', '1.org', '1.role', '1.device'],
    },
    {
      name: 'principal.verify',
      run: lk.principal.verify,
      args: () => [ring, assertion, { now }],
      data: ['1'],
    },
    {
      name: 'scope.writeTarget',
      run: lk.scope.writeTarget,
      args: () => [{ subject: 'alex', org: 'acme', role: 'admin' }],
      free: ['0.subject', '0.org', '0.role'],
    },
    {
      name: 'scope.connectTarget',
      run: lk.scope.connectTarget,
      args: () => [{ subject: 'alex', org: 'acme', role: 'owner', requested: 'org' }],
      free: ['0.subject', '0.org'],
    },
    {
      name: 'scope.eraseTarget',
      run: lk.scope.eraseTarget,
      args: () => [{ subject: 'ops', kind: 'service', user: 'alex' }],
      free: ['0.user'],
    },
    {
      name: 'scope.writePlan',
      run: lk.scope.writePlan,
      args: () => [
        { subject: 'alex', org: 'acme', role: 'admin', parts: [{ required: true, present: true }] },
      ],
    },
    {
      name: 'scope.deletePlan',
      run: lk.scope.deletePlan,
      args: () => [{ subject: 'alex', org: 'acme', role: 'admin', requested: 'org' }],
    },
    {
      name: 'scope.leaveTarget',
      run: lk.scope.leaveTarget,
      args: () => [{ callerOrg: 'acme', kind: 'service', org: 'acme', user: 'alex' }],
    },
    {
      name: 'scope.readPlan',
      run: lk.scope.readPlan,
      args: () => [{ subject: 'alex', org: 'acme', membership: 'known', policy: { order: ['user', 'org'] } }],
    },
    {
      name: 'scope.resolve',
      run: lk.scope.resolve,
      args: () => [
        { subject: 'alex', org: 'acme', policy: { order: ['user'], only: 'user' } },
        [{ scope: 'user', id: 'alex', held: 'whole', rejectedAt: now - 900_000 }],
        { now },
      ],
      isNo: (choice) => (choice as { outcome: string }).outcome !== 'found',
    },
    {
      name: 'scope.gap',
      run: lk.scope.gap,
      args: () => [{ subject: 'alex', org: 'acme' }, [{ scope: 'org', id: 'acme', held: 'whole' }]],
    },
    {
      name: 'scope.mayMutate',
      run: lk.scope.mayMutate,
      args: () => [
        {
          subject: 'alex',
          org: 'acme',
          role: 'admin',
          requested: 'org',
          verb: 'set',
          value: 'canary-secret-value-88f1',
          registered: true,
        },
      ],
      isNo: (verdict) => !(verdict as { ok: boolean }).ok,
    },
    {
      name: 'scope.visible',
      run: lk.scope.visible,
      args: () => [{ org: 'acme', isPublic: true, isMember: false }, 'acme'],
    },
    {
      name: 'scope.sweep',
      run: lk.scope.sweep,
      args: () => [
        { subject: 'alex', org: 'acme' },
        { owner: { scope: 'org', id: 'acme' }, org: 'acme', author: 'alex' },
      ],
    },
    {
      name: 'scope.complete',
      run: lk.scope.complete,
      args: () => [
        {
          tokenDevice: 'laptop',
          bodyDevice: 'laptop',
          pin: 'laptop',
          known: true,
          watcher: true,
          payloadGood: true,
          running: true,
        },
      ],
      isNo: (done) => (done as { status: number }).status !== 200,
    },
    {
      name: 'scope.chooseInstallation',
      run: lk.scope.chooseInstallation,
      args: () => [
        { subject: 'alex', org: 'acme', account: 'octo' },
        [{ id: '1', owner: { scope: 'org', id: 'acme' }, account: 'octo' }],
      ],
      isNo: (choice) => (choice as { outcome: string }).outcome !== 'one',
    },
    {
      name: 'scope.hears',
      run: lk.scope.hears,
      args: () => [
        { change: 'suspended', at: 1_000 },
        { change: 'restored', at: 2_000 },
      ],
      isNo: (heard) => heard === false,
    },
    {
      name: 'scope.knownAs',
      run: lk.scope.knownAs,
      args: () => [
        { suspended: false, at: 1_000 },
        { change: 'suspended', at: 2_000 },
      ],
    },
    {
      name: 'scope.minted',
      run: lk.scope.minted,
      args: () => [{ status: 201 }],
      isNo: (minted) => minted !== 'made',
    },
    {
      name: 'scope.chooseTokenSource',
      run: lk.scope.chooseTokenSource,
      args: () => [{ pin: 'user', user: 'good', userAllowed: true, installed: true, mayWrite: true }],
      isNo: (choice) => (choice as { source: string }).source === 'none',
    },
    {
      name: 'scope.stepIdentity',
      run: lk.scope.stepIdentity,
      args: () => [
        { acts: 'user', warned: false },
        { source: 'installation', reason: 'refresh_failed' },
        'installation-1',
      ],
    },
    {
      name: 'scope.access',
      run: lk.scope.access,
      args: () => [{ hasToken: true, status: 403, remaining: '0', retryAfter: '60' }],
    },
    {
      name: 'scope.missing',
      run: lk.scope.missing,
      args: () => ['github', ['repo'], ['public_repo']],
    },
    {
      name: 'scope.explain',
      run: lk.scope.explain,
      args: () => [[{ rule: 'found', scope: 'org' }]],
    },
    {
      name: 'scope.checkUpstream',
      run: lk.scope.checkUpstream,
      args: () => [repo(), { method: 'GET', url: 'https://api.github.com/repos/octo/hello/pulls/1' }],
    },
    {
      name: 'upstream.check',
      run: lk.upstream.check,
      args: () => [repo(), { method: 'POST', url: 'https://github.com/octo/hello.git/git-upload-pack' }],
    },
    {
      name: 'upstream.redirect',
      run: lk.upstream.redirect,
      args: () => [
        repo(),
        {
          method: 'GET',
          from: 'https://github.com/octo/hello/info/refs?service=git-upload-pack',
          to: 'https://github.com/octo/hello.git/info/refs?service=git-upload-pack',
          hop: 1,
        },
      ],
    },
    {
      name: 'upstream.lfsRight',
      run: lk.upstream.lfsRight,
      args: () => [Buffer.from('{"operation":"download","objects":[]}')],
      isNo: (right) => right === 'push',
    },
    {
      name: 'repo.parse',
      run: lk.repo.parse,
      args: () => ['https://github.com/octo/hello', { hosts: [{ provider: 'github', host: 'github.com' }] }],
      data: ['0'],
    },
    {
      name: 'capability.mint',
      run: lk.capability.mint,
      args: () => [ring, capabilityClaims(), ctx()],
      free: ['1.subject', '1.owner.id', '1.provider', '1.repo', '1.container'],
    },
    {
      name: 'capability.attenuate',
      run: lk.capability.attenuate,
      args: () => [
        lk.capability.mint(ring, capabilityClaims(), ctx()),
        { can: ['fetch'], expiresAt: now + 60_000 },
      ],
      data: ['0'],
    },
    {
      name: 'capability.verify',
      run: lk.capability.verify,
      args: () => [
        ring,
        lk.capability.mint(ring, capabilityClaims(), ctx()),
        { now, container: 'box-1', epoch: 1 },
      ],
      data: ['1'],
    },
    {
      name: 'capability.redeem',
      run: lk.capability.redeem,
      args: () => {
        const { purpose, provider, repo, can } = capabilityClaims()
        return [
          { purpose, provider, repo, can },
          { own: 'session:s-1', repo },
        ]
      },
    },
    { name: 'capability.revoke', run: lk.capability.revoke, args: () => [7, { now }] },
    { name: 'guard.name', run: lk.guard.name, args: () => ['1700000000.123456'], data: ['0'] },
    { name: 'guard.key', run: lk.guard.key, args: () => [['repo-access', 'alex']], free: ['0.0', '0.1'] },
    {
      name: 'guard.isLoopbackHost',
      run: lk.guard.isLoopbackHost,
      args: () => ['localhost:8787'],
      data: ['0'],
      isNo: no,
    },
    {
      name: 'guard.request',
      run: lk.guard.request,
      args: () => [
        {
          method: 'POST',
          host: 'localhost:8787',
          origin: 'http://localhost:8787',
          secFetchSite: 'same-origin',
          contentType: 'application/json',
          ownOrigin: 'http://localhost:8787',
          mediaType: 'application/json',
          proxied: false,
        },
      ],
      isNo: (verdict) => !(verdict as { ok: boolean }).ok,
    },
    {
      name: 'guard.outbound',
      run: lk.guard.outbound,
      args: () => ['https://id.example/token', { dev: false, from: 'https://id.example/old', hop: 1 }],
      data: ['0'],
      isNo: no,
    },
    {
      name: 'exchange.read',
      run: lk.exchange.read,
      args: () => [tokenAnswer(), { now, profile: 'generic' }],
    },
    {
      name: 'refresh.classify',
      run: lk.refresh.classify,
      args: () => [
        'gitlab',
        refreshAnswer(),
        { now, sentRefreshToken: Buffer.from('canary-refresh-token-sent-17ab') },
      ],
      inner: '1.headers.',
      isNo: (said) => (said as { class: string }).class !== 'ok',
    },
    {
      name: 'refresh.classify',
      run: lk.refresh.classify,
      args: () => [
        { profile: 'generic', refresh: { accessTtlMs: 60_000, serverErrorsUnspent: true } },
        { ...refreshAnswer(), headers: Object.entries(refreshAnswer().headers) },
        { now },
      ],
      inner: '1.headers.',
      isNo: (said) => (said as { class: string }).class !== 'ok',
    },
    {
      name: 'refresh.classify',
      run: lk.refresh.classify,
      args: () => ['generic', { failed: 'timeout' }, { now }],
    },
    { name: 'account.read', run: lk.account.read, args: () => [accountAnswer(), { profile: 'generic' }] },
    {
      name: 'introspection.doubt',
      run: lk.introspection.doubt,
      args: () => [{ status: 200, contentType: 'application/json', body: Buffer.from('{"active":true}') }],
      isNo: (left) => left !== 'none',
    },
    {
      name: 'disconnect.decide',
      run: lk.disconnect.decide,
      args: () => [
        { kind: 'status', status: 200, contentType: 'application/json', body: Buffer.from('{"ok":true}') },
      ],
      isNo: (result) => !(result as { deleted: boolean }).deleted,
    },
    {
      name: 'refresh.admit',
      run: lk.refresh.admit,
      args: () => [
        { cas: true, strongRead: true, negativeCache: false, minTtlMs: 0, maxValue: 1_000_000 },
        { windowMs: 60_000, proactive: true },
        { rotation: 'grace_same', graceMs: 10_000, oldAccessDies: true },
      ],
    },
    {
      name: 'refresh.step',
      run: lk.refresh.step,
      args: () => [row.slice(), null, { kind: 'begin', task: 'fetch', entropy: entropy.slice() }, settings()],
      isNo: (turn) => (turn as RefreshStep).effects.some(({ kind }) => kind === 'refuse'),
    },
    {
      name: 'refresh.step',
      run: lk.refresh.step,
      args: () => [
        row.slice(),
        waiting.slice(),
        { kind: 'reply', class: 'ok', doubt: 'none', entropy: entropy.slice(), tokens: { ...facts } },
        settings(),
      ],
      inner: '0',
      isNo: (turn) => (turn as RefreshStep).effects.length === 0,
    },
    {
      name: 'admission.offer',
      run: lk.admission.offer,
      args: () => ['generic_git', 'canary-git-credential-6d0e'],
      data: ['1'],
      isNo: (answer) => answer !== 'credential',
    },
    { name: 'admission.plan', run: lk.admission.plan, args: () => [message(), null, null, { now }] },
    {
      name: 'admission.plan',
      run: lk.admission.plan,
      args: () => [message(), ...records(), { now }],
      inner: '2',
    },
    { name: 'admission.drain', run: lk.admission.drain, args: () => [...records(), { now }] },
    {
      name: 'admission.settle',
      run: lk.admission.settle,
      args: () => [...records(), { outcome: 'undelivered', failure: 'unreachable', sends: 1 }, { now }],
    },
    { name: 'refresh.describe', run: lk.refresh.describe, args: () => [row.slice(), now] },
    ...retentionCalls(lk),
    {
      name: 'redact',
      run: lk.redact,
      args: () => [`token=canary-redacted-7c31 and ${token}`],
      // Half a character is replaced like everything else that must not come out.
      inner: '0',
    },
    { name: 'webhook.headers', run: lk.webhook.headers, args: () => ['slack'], isNo: no },
    {
      name: 'webhook.verify',
      run: lk.webhook.verify,
      args: () => [webhookSecret.slice(), signature, webhookBody(), { ...slack }],
      data: ['1', '3.timestamp'],
      isNo: no,
    },
    {
      name: 'webhook.begin',
      run: lk.webhook.begin,
      args: () => [webhookSecret.slice(), { profile: 'slack', timestamp: slack.timestamp }],
      data: ['1.timestamp'],
      // Any text is a secret.
      inner: '0',
    },
    {
      name: 'webhook.update',
      run: lk.webhook.update,
      args: () => [lk.webhook.begin(webhookSecret, slack), webhookBody()],
      isNo: () => false,
    },
    {
      name: 'webhook.finish',
      run: lk.webhook.finish,
      args: () => {
        const stream = lk.webhook.begin(webhookSecret, slack)
        lk.webhook.update(stream, webhookBody())
        return [stream, signature, { now }]
      },
      data: ['1'],
      isNo: no,
    },
    {
      name: 'webhook.read',
      run: lk.webhook.read,
      args: () => [
        {
          profile: 'github-app',
          event: 'github_app_authorization',
          id: 'canary-delivery-id-17ab',
          body: Buffer.from(
            '{"action":"revoked","sender":{"id":9007199254740993,"login":"canary-login-0b4e"}}',
          ),
        },
        { now },
      ],
      data: ['0.event', '0.id'],
    },
    { name: 'config.check', run: lk.config.check, args: () => [{ ...environment }], inner: '0.' },
  ]
}

function retentionCalls({ retention }: Latchkey): Call[] {
  const run = () =>
    ({ status: 'running', startedAt: now - 60_000, heartbeatAt: now - 1, inFlight: true }) as const
  const done = () => ({ status: 'errored', startedAt: now - 60_000, completedAt: now - 5_000 }) as const
  return [
    {
      name: 'retention.setting',
      run: retention.setting,
      args: () => ['60000', 86_400_000, { maxMs: 604_800_000, warn: () => undefined }],
    },
    {
      name: 'retention.reconnect',
      run: retention.reconnect,
      args: () => [done(), now, { windowMs: 1_200_000 }],
    },
    {
      name: 'retention.stale',
      run: retention.stale,
      args: () => [
        { ...run(), aliveAt: now - 2 },
        now,
        { phase: 'background', silenceMs: 5, inFlightMs: 870_000, livenessMs: 120_000, maxAgeMs: 9e9 },
      ],
    },
    {
      name: 'retention.prune',
      run: retention.prune,
      args: () => [done(), now, { completedMs: 1, unsuccessfulMs: 2, reconnectMs: 3 }],
    },
    {
      name: 'retention.begin',
      run: retention.begin,
      args: () => [{ known: false, forgotten: false, live: false }],
      isNo: (answer) => answer !== 'start',
    },
    {
      name: 'retention.append',
      run: retention.append,
      args: () => ['running', { lastSeq: 7 }, { size: 10, after: 7 }],
    },
    {
      name: 'retention.terminal',
      run: retention.terminal,
      args: () => ['running', { lastSeq: 41 }, 'stale_run'],
    },
    {
      name: 'retention.terminal',
      run: retention.terminal,
      args: () => ['running', { lastSeq: 41, end: 'done' }, 'idle_limit'],
    },
    {
      name: 'retention.recover',
      run: retention.recover,
      args: () => [
        [run(), done()],
        { lookedUp: true, postedAt: now - 1_000, attempts: 1, earlyDeaths: 0 },
        now,
        { windowMs: 1_200_000, retentionMs: 86_400_000, maxAttempts: 5, stale: { phase: 'foreground' } },
      ],
    },
    {
      name: 'retention.keepNewest',
      run: retention.keepNewest,
      args: () => [
        [
          { name: 'a'.repeat(64), modifiedAt: now },
          { name: 'canary-entry-51d0', modifiedAt: now - 1 },
        ],
        { inUse: 'b'.repeat(64), keep: 1, digits: 64 },
      ],
    },
    {
      name: 'retention.changed',
      run: retention.changed,
      args: () => [{ current: 'canary-ref-b0b0', previous: 'canary-ref-a0a0', kept: true }],
    },
    {
      name: 'retention.orphan',
      run: retention.orphan,
      args: () => [{ status: 'active', connectionStatus: 'active', defined: true, pinned: false }],
      isNo: (answer) => (answer as { action: string }).action === 'leave',
    },
    {
      name: 'retention.resumes',
      run: retention.resumes,
      args: () => ['canary-reason-77aa', 'canary-reason-77aa'],
      isNo: no,
    },
    {
      name: 'retention.link',
      run: retention.link,
      args: () => [{ state: 'pending', expiresAt: now, otherPending: false }, now],
    },
    {
      name: 'retention.schedule',
      run: retention.schedule,
      args: () => [{ every: '15m', anchor: 0, slot: now, quotaResetAt: now + 5, matched: true }, now],
      isNo: (answer) => (answer as { action: string }).action === 'parked',
    },
    {
      name: 'retention.fingerprint',
      run: retention.fingerprint,
      args: () => [['job failed', 'TypeError', 'canary-message-1f2e', 'at run']],
      free: ['0.0', '0.1', '0.2', '0.3'],
    },
    {
      name: 'retention.dedupe',
      run: retention.dedupe,
      args: () => [{ forwardedAt: now - 5, entries: 3 }, now, { windowMs: 60_000, maxEntries: 1_000 }],
    },
    {
      name: 'retention.rateLimit',
      run: retention.rateLimit,
      args: () => [{ startedAt: now - 5, count: 3 }, true, now, { limit: 5, windowMs: 900_000 }],
    },
    {
      name: 'retention.bucket',
      run: retention.bucket,
      args: () => ['2001:db8::1'],
      data: ['0'],
      isNo: (answer) => answer === 'anonymous',
    },
    {
      name: 'retention.expiry',
      run: retention.expiry,
      args: () => [now, 300_000, now, { minMs: 60_000 }],
    },
    {
      name: 'retention.sweep',
      run: retention.sweep,
      args: () => [
        ['run', 'delivery'],
        { pending: 16, lane: 4, open: true, asked: 200, spent: 200 },
        200,
        now,
        { rows: 2_000, batch: 200, intervalMs: 300_000 },
      ],
    },
    { name: 'retention.erase', run: retention.erase, args: () => [{ block: 'done', revoke: 'failed' }] },
  ]
}

/** The same calls, as far as the sign module has them. */
export function signerCalls(signer: Signer, lk: Latchkey): Call[] {
  const has = new Set(functionsOf(signer))
  return latchkeyCalls(lk).flatMap((call) => {
    if (!has.has(call.name)) return []
    const [engine = '', verb] = call.name.split('.')
    const found = signer[engine as keyof Signer]
    const run = verb === undefined ? found : found[verb as keyof typeof found]
    return [{ ...call, run: run as unknown as Call['run'] }]
  })
}

export function verifierCalls(verifier: Verifier, lk: Latchkey): Call[] {
  const ring = lk.keys.parse(keyText)
  const jwks = lk.keys.publicJwks(ring)
  const { token } = lk.state.issue(ring, { ...claims, alg: 'EdDSA' }, { now, entropy })
  return [
    {
      name: 'state.verify',
      run: verifier.state.verify,
      args: () => [structuredClone(jwks), token, { ...expected, binding: binding.slice() }],
      data: ['1'],
      inner: '0.',
    },
    { name: 'state.peek', run: verifier.state.peek, args: () => [token], data: ['0'] },
    {
      name: 'returnTo',
      run: verifier.returnTo,
      args: () => ['/app/b', { base: '/app' }],
      data: ['0'],
      isNo: no,
    },
  ]
}

/** Calls a function with arguments of any kind. */
export const invoke = (call: Call, args: readonly unknown[]): unknown =>
  (call.run as (...args: readonly unknown[]) => unknown)(...args)

/** Names of all functions of an engine, as `state.verify`. */
export function functionsOf(value: object, prefix = ''): string[] {
  return Object.entries(value).flatMap(([name, member]) => {
    if (typeof member === 'function') return [prefix + name]
    return typeof member === 'object' && member !== null ? functionsOf(member, `${prefix}${name}.`) : []
  })
}

/** Every place in a tree of arguments, with what stands there. */
export function* places(value: unknown, path = ''): Generator<readonly [path: string, value: unknown]> {
  if (path !== '') yield [path, value]
  if (!Array.isArray(value) && Object.getPrototypeOf(value ?? 0) !== Object.prototype) return
  for (const [name, member] of Object.entries(value as object)) {
    yield* places(member, path === '' ? name : `${path}.${name}`)
  }
}

/** The arguments with something else in one place. */
export function replaced(args: readonly unknown[], path: string, value: unknown): unknown[] {
  const put = (node: unknown, [name, ...rest]: string[]): unknown => {
    if (name === undefined) return value
    const copy = Array.isArray(node) ? [...node] : { ...(node as object) }
    const into = copy as Record<string, unknown>
    into[name] = put(into[name], rest)
    return copy
  }
  return put(args, path.split('.')) as unknown[]
}
