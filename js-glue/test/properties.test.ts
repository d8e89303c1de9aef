// What holds for every input, tried with many: round trips, and models written from the documents.
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { type ErrorCode, LatchkeyError, publicCode } from '../src/errors.ts'
import type { CallbackInput, Owner } from '../src/types.ts'
import { environment } from './calls.ts'
import {
  canary,
  claims,
  codes,
  entropy,
  expected,
  keyText,
  now,
  openLatchkey,
  openVerifier,
  refusal,
} from './support.ts'

const edge = openLatchkey()
const { api: lk } = edge
const { api: verifier } = openVerifier()
const ring = lk.keys.parse(keyText)
const jwks = lk.keys.publicJwks(ring)

const anyText = fc.oneof(
  fc.string({ unit: 'grapheme', maxLength: 60 }),
  fc.string({ unit: 'binary', maxLength: 40 }),
  fc.string({ unit: 'binary-ascii', maxLength: 300 }),
)
/** 1..255 bytes of UTF-8 without control characters. */
const isClaim = (text: string) =>
  text !== '' && text.isWellFormed() && !/[\0-\x1f\x7f-\x9f]/.test(text) && Buffer.byteLength(text) <= 255
const claim = fc.oneof(anyText, fc.string({ unit: 'grapheme', minLength: 1, maxLength: 20 })).filter(isClaim)
const owner = fc.record(
  { kind: fc.constantFrom('user', 'org'), id: claim },
  { noNullPrototype: true },
) as fc.Arbitrary<Owner>
const bytes = (length: number) => fc.uint8Array({ minLength: length, maxLength: length })
const check = <T>(property: fc.IProperty<T>, numRuns: number) => fc.assert(property, { numRuns })

describe('state', () => {
  const given = fc.record(
    {
      alg: fc.constantFrom('HS256' as const, 'EdDSA' as const),
      issuer: claim,
      audience: claim,
      flow: claim,
      provider: claim,
      subject: claim,
      owner,
      app: claim,
      returnTo: fc.constantFrom('/', '/a', '/a?b=c#d', '/%F0%9F%98%80'),
      binding: bytes(32),
      ttlMs: fc.integer({ min: 1, max: 3600 }).map((s) => s * 1000),
    },
    { requiredKeys: ['issuer', 'audience', 'flow', 'provider', 'subject', 'owner'], noNullPrototype: true },
  )
  const time = fc.integer({ min: 0, max: 8_000_000_000_000 })

  it('what is issued is verified and says the same', () =>
    check(
      fc.property(given, time, bytes(16), (mine, at, random) => {
        const { token, nonce, expiresAt } = lk.state.issue(ring, mine, { now: at, entropy: random })
        const { binding, ttlMs = 600_000, alg = 'HS256', ...said } = mine
        const { issuer, audience, flow, provider, subject } = mine
        const wanted = { issuer, audience, flow, provider, subject, ...(binding ? { binding } : {}), now: at }
        const issuedAt = at - (at % 1000)
        const state = lk.state.verify(ring, token, wanted)
        const kid = alg === 'HS256' ? 'k1' : 'k1.ed'
        assert.deepEqual(state, { ...said, alg, kid, nonce, issuedAt, expiresAt })
        assert.equal(expiresAt, issuedAt + ttlMs)
        assert.equal(nonce, Buffer.from(random).toString('base64url'))
        if (alg === 'EdDSA') assert.deepEqual(verifier.state.verify(jwks, token, wanted), state)
        const { alg: _, kid: __, ...peeked } = state
        assert.deepEqual(lk.state.peek(token), peeked)
      }),
      1500,
    ))

  it('a claim is taken or refused by its form alone', () =>
    check(
      fc.property(
        fc.constantFrom('issuer', 'audience', 'flow', 'provider', 'subject', 'app'),
        anyText,
        (name, text) => {
          const code = refusal(() => lk.state.issue(ring, { ...claims, [name]: text }, { now, entropy }))
          assert.equal(code, isClaim(text) ? undefined : 'claim_invalid')
        },
      ),
      2000,
    ))

  it('a changed token is refused', () => {
    const { token } = lk.state.issue(ring, claims, { now, entropy })
    return check(
      fc.property(
        fc.nat(token.length),
        fc.nat(8),
        fc.string({ unit: 'binary', maxLength: 6 }),
        (at, gone, put) => {
          const changed = token.slice(0, at) + put + token.slice(at + gone)
          if (changed === token) return
          assert.match(
            String(refusal(() => lk.state.verify(ring, changed, expected))),
            /^state_(malformed|unknown_key|bad_signature|missing)$/,
          )
        },
      ),
      3000,
    )
  })

  it('anything at all is a token, to be refused', () =>
    check(
      fc.property(fc.oneof(anyText, fc.string({ unit: 'binary', maxLength: 5000 })), (text) => {
        const code = refusal(() => lk.state.verify(ring, text, expected))
        assert.match(String(code), /^state_(missing|malformed|too_long)$|^utf8_invalid$/)
        assert.equal(
          refusal(() => lk.state.peek(text)),
          'state_malformed',
        )
        assert.match(
          String(refusal(() => lk.principal.verify(ring, text, { now }))),
          /^principal_(missing|invalid)$|^utf8_invalid$/,
        )
        assert.match(String(refusal(() => lk.seal.open(ring, text, []))), /^seal_invalid$|^utf8_invalid$/)
      }),
      1500,
    ))
})

it('principal: what is issued is verified and says the same', () =>
  check(
    fc.property(
      fc.record(
        {
          subject: claim,
          org: claim,
          role: claim,
          kind: fc.constantFrom('human' as const, 'service' as const),
        },
        { requiredKeys: ['subject', 'kind'], noNullPrototype: true },
      ),
      fc.integer({ min: 1, max: 300 }),
      (principal, ttl) => {
        const ctx = { now, ttlMs: ttl * 1000 }
        if ('role' in principal && !('org' in principal)) {
          assert.equal(
            refusal(() => lk.principal.issue(ring, principal, ctx)),
            'principal_invalid',
          )
          return
        }
        const token = lk.principal.issue(ring, principal, ctx)
        assert.deepEqual(lk.principal.verify(ring, token, { now: now + ctx.ttlMs - 1 }), principal)
        assert.equal(
          refusal(() => lk.principal.verify(ring, token, { now: now + ctx.ttlMs + 1000 })),
          'principal_expired',
        )
      },
    ),
    1000,
  ))

describe('seal', () => {
  const context = fc.array(
    fc.string({ unit: 'binary', maxLength: 30 }).filter((text) => text.isWellFormed()),
    { maxLength: 16 },
  )
  it('what is sealed opens in its place, and there alone', () =>
    check(
      fc.property(
        fc.uint8Array({ maxLength: 2000 }),
        context,
        context,
        bytes(24),
        (plain, here, there, random) => {
          const text = lk.seal.seal(ring, plain, here, { entropy: random })
          assert.match(text, /^lks1\.k1\.[\w-]+$/)
          assert.deepEqual(lk.seal.open(ring, text, here), plain)
          const same = JSON.stringify(here) === JSON.stringify(there)
          assert.equal(
            refusal(() => lk.seal.open(ring, text, there)),
            same ? undefined : 'seal_invalid',
          )
        },
      ),
      800,
    ))
  it('up to 16,384 bytes', () => {
    const plain = canary('large', 16_384)
    assert.deepEqual(lk.seal.open(ring, lk.seal.seal(ring, plain, [], { entropy }), []), plain)
    for (const length of [16_385, 60_000, 100_000]) {
      const code = refusal(() => lk.seal.seal(ring, new Uint8Array(length), [], { entropy }))
      assert.match(String(code), /^(claim_invalid|output_too_small)$/)
    }
  })
})

describe('T11: returnTo', () => {
  /** What the document says, by way of the platform's own URL parser. */
  function model(text: string, base = ''): string | null {
    if (!text.isWellFormed() || Buffer.byteLength(text) > 512) return null
    if (!/^\/(?![/\\])/.test(text) || /[\\\0-\x1f\x7f]/.test(text)) return null
    const url = new URL(text, 'https://origin.example')
    if (url.origin !== 'https://origin.example') return null
    const normal = url.pathname + url.search + url.hash
    if (/^\/(?:\/|%2f|%5c)/i.test(normal) || normal.length > 512) return null
    if (base !== '' && !(normal.startsWith(base) && /^(?:$|[/?#])/.test(normal.slice(base.length))))
      return null
    return normal
  }
  const piece = fc.constantFrom(
    '/',
    '//',
    '.',
    '..',
    '%2e',
    '%2E',
    '%2f',
    '%5C',
    '\\',
    '?',
    '#',
    '&',
    '=',
    ':',
    '@',
    ' ',
    '%',
    '%zz',
    'a',
    'app',
    'b',
    'é',
    '😀',
    '\t',
    '\n',
    '\0',
    '\x7f',
    '\ud800',
    '"',
    "'",
    '<',
    '>',
    '`',
    '{',
    '}',
    '|',
    '^',
    '[',
    ']',
    '~',
    ';',
    ',',
    '+',
    '*',
    '!',
    '$',
    '(',
    ')',
    '\u2028',
    '\ufeff',
    'http:',
    'javascript:',
    'x'.repeat(250),
  )
  const path = fc.array(piece, { maxLength: 14 }).map((parts) => parts.join(''))
  const text = fc.oneof(
    path.map((rest) => `/${rest}`),
    path,
    anyText.map((rest) => `/${rest}`),
    fc.webUrl(),
    fc.webPath(),
  )
  const base = fc.constantFrom('', '/app', '/app/b', '/a')

  it('is what `new URL` makes of it, or null', () =>
    check(
      fc.property(text, base, (given, within) => {
        const wanted = model(given, within)
        for (const engine of [lk, verifier]) {
          assert.equal(
            within === '' ? engine.returnTo(given) : engine.returnTo(given, { base: within }),
            wanted,
          )
        }
        if (wanted !== null) assert.equal(lk.returnTo(wanted, { base: within }), wanted)
      }),
      20_000,
    ))
  it('each of the ways out', () => {
    for (const out of [
      '',
      '//h',
      '/\\h',
      '\\\\h',
      '/.//h',
      '/..//h',
      '/%2e//h',
      '/a/..//h',
      '/./\\h',
      'https:h',
      'https://h',
      'javascript:alert(1)',
      'a',
      '?a',
      '#a',
      '/\th',
      '/\n/h',
      '/\0',
      '/\x7f',
      '/%2f/h',
      '/%5ch',
      '/.%2f',
      ' /a',
      '\ufeff/a',
      `/${'a'.repeat(512)}`,
      '/\ud800',
    ]) {
      assert.equal(model(out), lk.returnTo(out), out)
      if (!out.startsWith('/.%2f')) assert.equal(lk.returnTo(out), null, JSON.stringify(out))
    }
    assert.equal(lk.returnTo('/'), '/')
    assert.equal(lk.returnTo('/a/../b/./c?d#e'), '/b/c?d#e')
  })
  it('a state takes exactly what is its own normal form', () =>
    check(
      fc.property(text, (given) => {
        const code = refusal(() => lk.state.issue(ring, { ...claims, returnTo: given }, { now, entropy }))
        if (lk.returnTo(given) === given) assert.equal(code, undefined)
        else assert.notEqual(code, undefined)
      }),
      3000,
    ))
})

describe('callback.plan', () => {
  const { token } = lk.state.issue(ring, claims, { now, entropy })
  const state = lk.state.verify(ring, token, expected)
  const clientErrors = [
    'invalid_client',
    'unauthorized_client',
    'invalid_request',
    'unsupported_response_type',
    'invalid_scope',
    'redirect_uri_mismatch',
    'application_suspended',
    'incorrect_client_credentials',
  ]

  const name = fc.oneof(
    {
      arbitrary: fc.constantFrom('code', 'state', 'iss', 'error', 'error_description', 'error_uri', 'x'),
      weight: 9,
    },
    { arbitrary: anyText, weight: 1 },
  )
  const value = fc.oneof(
    fc.constantFrom(
      'abc',
      'a/b+c-d._~',
      '',
      'a b',
      'a"',
      'é',
      'https://id.example',
      'https://e.example',
      'access_denied',
      'server_error',
      'toString',
      ...clientErrors,
    ),
    fc.constantFrom('c'.repeat(2048), 'c'.repeat(2049), 'c'.repeat(4097)),
    anyText,
  )
  const params = fc.array(fc.tuple(name, value), { maxLength: 6 })
  const session = fc.record(
    {
      subject: fc.constantFrom('alex', 'sam', ''),
      asIssuer: fc.constant('https://id.example'),
      issRequired: fc.boolean(),
    },
    { requiredKeys: [], noNullPrototype: true },
  )
  const refused = fc.constantFrom(...([...codes] as ErrorCode[]))

  /** The table in include/latchkey/callback.hpp. */
  function model({
    params,
    state: given,
    session,
  }: CallbackInput & { params: [string, string][] }): ErrorCode | 'exchange' {
    const names = params.map(([name]) => name)
    if (params.flat().some((text) => !text.isWellFormed()) || new Set(names).size < names.length)
      return 'callback_malformed'
    if (params.some(([name, value]) => Buffer.byteLength(name) > 64 || Buffer.byteLength(value) > 4096))
      return 'callback_malformed'
    if (typeof given === 'string') return given
    if (session.subject !== given.subject) return 'subject_mismatch'
    const { iss, error, code } = Object.assign(Object.create(null), Object.fromEntries(params)) as Record<
      string,
      string | undefined
    >
    if (iss === undefined ? session.issRequired : session.asIssuer !== undefined && iss !== session.asIssuer)
      return 'issuer_mismatch'
    if (error !== undefined && code !== undefined) return 'callback_malformed'
    if (error === 'access_denied') return 'access_denied'
    if (error !== undefined)
      return clientErrors.includes(error) ? 'provider_refused_client' : 'provider_error'
    return code !== undefined && /^[\w.~+/-]{1,2048}$/.test(code) ? 'exchange' : 'code_invalid'
  }

  it('T08: nothing is consumed unless everything is right', () =>
    check(
      fc.property(params, session, fc.oneof(fc.constant(state), refused), (params, session, state) => {
        const plan = lk.callback.plan({ params, state, session })
        const wanted = model({ params, state, session })
        if (wanted !== 'exchange') {
          assert.equal(plan.action, 'redirect')
          assert.ok(!('consume' in plan) && !('code' in plan))
          assert.equal(plan.action === 'redirect' && plan.reason, wanted)
          assert.equal(plan.action === 'redirect' && plan.publicCode, publicCode(wanted))
        } else {
          assert.ok(typeof state !== 'string')
          assert.deepEqual(plan, {
            action: 'exchange',
            code: params.find(([name]) => name === 'code')![1],
            returnTo: claims.returnTo,
            consume: { nonce: state.nonce, until: state.expiresAt + 65_000 },
          })
        }
      }),
      6000,
    ))

  it('query, URLSearchParams and pairs are the same to it', () =>
    check(
      fc.property(params, (pairs) => {
        const query = new URLSearchParams(pairs)
        const session = { subject: 'alex' }
        const plan = lk.callback.plan({ params: [...query], state, session })
        assert.deepEqual(lk.callback.plan({ params: query, state, session }), plan)
        assert.deepEqual(lk.callback.plan({ params: query.toString(), state, session }), plan)
        assert.deepEqual(lk.callback.plan({ params: `?${query.toString()}`, state, session }), plan)
      }),
      500,
    ))

  it('at most 32 parameters', () => {
    const plan = (count: number) =>
      lk.callback.plan({
        params: [
          ['code', 'abc'],
          ...Array.from({ length: count - 1 }, (_, i): [string, string] => [`p${i}`, '']),
        ],
        state,
        session: { subject: 'alex' },
      })
    assert.equal(plan(32).action, 'exchange')
    for (const count of [33, 34, 256, 257, 289, 5000, 32_768, 65_535, 65_536, 65_568, 70_000]) {
      assert.deepEqual(plan(count), {
        action: 'redirect',
        reason: 'callback_malformed',
        publicCode: 'invalid_state',
      })
    }
  })
})

describe('T07: nothing that a provider or an environment says comes out again', () => {
  const marker = 'CANARY-7f3d'
  const shown = (value: unknown) =>
    value instanceof Error
      ? JSON.stringify([value.message, value.stack, { ...value }, value.cause, String(value)])
      : JSON.stringify(value)
  const outcome = (call: () => unknown) => {
    try {
      return shown(call())
    } catch (error) {
      assert.ok(error instanceof LatchkeyError, String(error))
      return shown(error)
    }
  }
  const said = fc.constantFrom(
    marker,
    `access_denied ${marker}`,
    `<script>${marker}</script>`,
    `${marker}\r\nSet-Cookie: a=b`,
    `https://e.example/${marker}`,
  )

  it('in a plan', () => {
    const { token } = lk.state.issue(ring, claims, { now, entropy })
    const state = lk.state.verify(ring, token, expected)
    const names = fc.constantFrom('error', 'error_description', 'error_uri', 'state', 'iss', 'x')
    check(
      fc.property(
        fc.uniqueArray(fc.tuple(names, said), { maxLength: 5, selector: ([name]) => name }),
        fc.constantFrom('state_expired' as const, state),
        (params, given) => {
          const plan = outcome(() =>
            lk.callback.plan({
              params: [...params, ['scope', marker]],
              state: given,
              session: { subject: 'alex' },
            }),
          )
          assert.ok(!plan.includes(marker), plan)
        },
      ),
      500,
    )
  })

  it('in what is said of a failed exchange, account or revocation', () => {
    const member = fc.constantFrom(
      'error',
      'error_description',
      'error_uri',
      'message',
      'id',
      'token_type',
      'access_token',
    )
    const object = fc.dictionary(
      member,
      fc.oneof(said, fc.integer(), fc.constant(null), fc.constant([marker])),
    )
    check(
      fc.property(object, fc.constantFrom(200, 301, 400, 401, 403, 429, 500, 502), (body, status) => {
        const answer = {
          status,
          contentType: 'application/json',
          body: Buffer.from(JSON.stringify({ ...body, error: marker })),
        }
        assert.ok(!outcome(() => lk.exchange.read(answer, { now, profile: 'generic' })).includes(marker))
        assert.ok(!outcome(() => lk.disconnect.decide({ kind: 'status', ...answer })).includes(marker))
        const failed = { ...answer, status: status === 200 ? 404 : status }
        assert.ok(!outcome(() => lk.account.read(failed, { profile: 'generic' })).includes(marker))
      }),
      500,
    )
  })

  it('in what is said of a configuration: its variable, never its value', () => {
    const bad = fc.oneof(
      said,
      said.map((text) => `{"p":{"profile":"${text}","clientId":"c"}}`),
      said.map((text) => JSON.stringify({ [text]: { profile: 'gitlab', clientId: 'c' } })),
      said.map((text) => JSON.stringify({ git: { profile: 'gitlab', clientId: 'c', tokenUrl: text } })),
      said.map((text) => `k1:${text}`),
      said.map((text) => text.repeat(3000)),
      said.map((text) => `${text}\ud800`),
    )
    check(
      fc.property(
        fc.constantFrom(
          'LATCHKEY_KEYS',
          'LATCHKEY_PRINCIPAL_KEY',
          'PUBLIC_BASE_URL',
          'LATCHKEY_DEV',
          'ENABLE_CONNECT',
          'LATCHKEY_PROVIDERS',
          'GIT_CLIENT_SECRET',
          'GIT_WEBHOOK_SECRET',
        ),
        bad,
        (name, value) => {
          const vars = { ...environment, [name]: value }
          try {
            lk.config.check(vars)
          } catch (error) {
            assert.ok(error instanceof LatchkeyError, String(error))
            assert.match(error.code, /^config_(invalid|missing)$/)
            assert.equal(error.at, name)
            assert.ok(!shown(error).includes(marker))
          }
        },
      ),
      600,
    )
  })
})

describe('answers of servers', () => {
  it('any bytes give a result or a code', () => {
    const type = fc.constantFrom(
      '',
      'application/json',
      'application/x-www-form-urlencoded',
      'text/html',
      'application/json; charset=utf-16',
    )
    const body = fc.oneof(
      fc.uint8Array({ maxLength: 500 }),
      fc.json().map((text) => Buffer.from(text)),
      anyText.map((text) => Buffer.from(`{"access_token":${JSON.stringify(text)},"token_type":"bearer"}`)),
      fc.constant(Buffer.from('['.repeat(60_000))),
      fc.constant(Buffer.alloc(64_001, 0x20)),
    )
    check(
      fc.property(fc.nat(65_535), type, body, (status, contentType, body) => {
        const answer = { status, contentType, body }
        const exchange = refusal(() => lk.exchange.read(answer, { now, profile: 'generic' }))
        assert.ok(exchange === undefined || /^exchange_|^provider_refused_client$/.test(exchange), exchange)
        const account = refusal(() => lk.account.read(answer, { profile: 'generic' }))
        assert.ok(account === undefined || account === 'account_unreadable', account)
        const { revoked, deleted } = lk.disconnect.decide({ kind: 'status', ...answer })
        assert.ok(!revoked || deleted)
      }),
      1500,
    )
  })

  it('a body beyond the limit leaves a revocation to its status', () => {
    for (const length of [64_000, 64_001, 90_000, 200_000]) {
      const body = Buffer.alloc(length, 0x20)
      assert.deepEqual(
        lk.disconnect.decide({ kind: 'status', status: 200, contentType: 'text/html', body }),
        { revoked: true, deleted: true },
      )
      assert.deepEqual(lk.disconnect.decide({ kind: 'status', status: 503, contentType: '', body }), {
        revoked: false,
        deleted: false,
        reason: 'unreachable',
      })
    }
  })

  it('the token of a good answer comes out byte for byte', () =>
    check(
      fc.property(
        fc.string({ unit: fc.constantFrom(...'abcXYZ019-._~+/='), minLength: 1, maxLength: 200 }),
        fc.integer({ min: 1, max: 1e6 }),
        (text, life) => {
          const body = Buffer.from(
            JSON.stringify({
              access_token: text,
              refresh_token: `r${text}`,
              token_type: 'Bearer',
              expires_in: life,
              scope: 'a b',
            }),
          )
          const { accessToken, refreshToken, expiresAt, scopes } = lk.exchange.read(
            { status: 200, contentType: 'application/json', body },
            { now, profile: 'generic' },
          )
          assert.equal(Buffer.from(accessToken).toString(), text)
          assert.equal(Buffer.from(refreshToken!).toString(), `r${text}`)
          assert.deepEqual([expiresAt, scopes], [now + life * 1000, ['a', 'b']])
        },
      ),
      500,
    ))
})

it('nothing of all this has trapped', () => assert.equal(edge.instances.length, 1))
