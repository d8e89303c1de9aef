// T01, T03, T05, T10, T13 and T14, as a caller of the package meets them.
import assert from 'node:assert/strict'
import { before, describe, it } from 'node:test'
import { type ErrorCode, publicCode } from '../src/errors.ts'
import type { Expected, StateClaims, VerifierExpected } from '../src/types.ts'
import { skipBinding } from '../src/types.ts'
import {
  binding,
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
const lk = edge.api
const { api: verifier } = openVerifier()
const ring = lk.keys.parse(keyText)
const jwks = lk.keys.publicJwks(ring)
const ctx = { now, entropy }
const tokens = {
  HS256: lk.state.issue(ring, claims, ctx).token,
  EdDSA: lk.state.issue(ring, { ...claims, alg: 'EdDSA' }, ctx).token,
}
const principal = lk.principal.issue(ring, { subject: 'alex', kind: 'human' }, { now })
const sealed = lk.seal.seal(ring, canary('plain'), ['here'], { entropy })

const doors: readonly {
  name: string
  token: string
  open(token: string): unknown
  malformed: ErrorCode
  allowed: readonly ErrorCode[]
}[] = [
  ...(['HS256', 'EdDSA'] as const).map((alg) => ({
    name: `state ${alg}`,
    token: tokens[alg],
    open: (token: string) => lk.state.verify(ring, token, expected),
    malformed: 'state_malformed' as const,
    allowed: ['state_malformed', 'state_unknown_key', 'state_bad_signature'] as const,
  })),
  {
    name: 'state EdDSA, verify-only',
    token: tokens.EdDSA,
    open: (token) => verifier.state.verify(jwks, token, expected),
    malformed: 'state_malformed',
    allowed: ['state_malformed', 'state_unknown_key', 'state_bad_signature'],
  },
  {
    name: 'principal',
    token: principal,
    open: (token) => lk.principal.verify(ring, token, { now }),
    malformed: 'principal_invalid',
    allowed: ['principal_invalid'],
  },
  {
    name: 'seal',
    token: sealed,
    open: (token) => lk.seal.open(ring, token, ['here']),
    malformed: 'seal_invalid',
    allowed: ['seal_invalid', 'seal_unknown_key'],
  },
]

/** Every change to one character, or around one. */
function* changed(token: string): Generator<string> {
  for (let at = 0; at < token.length; at++) {
    const head = token.slice(0, at)
    const tail = token.slice(at + 1)
    const code = token.charCodeAt(at)
    for (let bit = 0; bit < 8; bit++) yield head + String.fromCharCode(code ^ (1 << bit)) + tail
    yield head + tail
    yield head + token[at] + token[at] + tail
    if (token[at + 1] !== undefined && token[at + 1] !== token[at]) {
      yield head + token[at + 1] + token[at] + token.slice(at + 2)
    }
    for (const added of ['.', '=', ' ', '\n', '\0', '\u00ad', '\ufeff']) yield head + added + token.slice(at)
  }
}

const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'

/** The same bytes, as a lenient base64url decoder would still read them. */
function* respelled(token: string): Generator<string> {
  const parts = token.split('.')
  for (const [i, part] of parts.entries()) {
    const put = (text: string) => parts.map((p, j) => (i === j ? text : p)).join('.')
    const spare = part.length % 4 === 2 ? 16 : part.length % 4 === 3 ? 4 : 1
    const last = alphabet.indexOf(part.at(-1)!)
    for (let bits = 1; bits < spare; bits++) yield put(part.slice(0, -1) + alphabet[last ^ bits])
    for (const end of ['=', '==', '====', 'A', '\n', '\r\n', ' ', '\t', '\0', '%3D']) yield put(part + end)
    for (const start of [' ', '\n', '\t', '\ufeff']) yield put(start + part)
    if (/[-_]/.test(part)) yield put(part.replaceAll('-', '+').replaceAll('_', '/'))
    yield put('')
  }
  yield [...token].map((c) => `%${c.charCodeAt(0).toString(16)}`).join('')
  yield token.replaceAll('.', '%2E')
  yield token.replaceAll('.', '\u3002')
  yield token.replace(/[a-z]/, (c) => String.fromCharCode(c.charCodeAt(0) + 0xfee0))
  yield encodeURIComponent(`${token} `)
  yield `"${token}"`
  yield `Bearer ${token}`
}

describe('T01: a token that is not exactly ours is refused', () => {
  for (const { name, token, open, allowed } of doors) {
    const refuse = (texts: Iterable<string>) => {
      let count = 0
      for (const text of texts) {
        if (text === token) continue
        const code = refusal(() => open(text))
        assert.ok(code !== undefined && allowed.includes(code), `${code} for ${JSON.stringify(text)}`)
        count++
      }
      assert.ok(count > 0)
    }
    it(`${name}: every byte flipped, dropped, doubled, swapped, preceded`, () => refuse(changed(token)))
    it(`${name}: every other spelling`, () => refuse(respelled(token)))
    it(`${name}: every beginning and every end of it`, () => {
      refuse(Array.from({ length: token.length - 1 }, (_, at) => token.slice(0, at + 1)))
      refuse(Array.from({ length: token.length - 1 }, (_, at) => token.slice(at + 1)))
    })
    it(`${name}: still good when unchanged, and nothing has trapped`, () => {
      open(token)
      assert.equal(edge.instances.length, 1)
    })
  }

  it('every part of one token in another', () => {
    const other = lk.state.issue(ring, { ...claims, subject: 'sam' }, { now, entropy: canary('other') }).token
    const [header, payload, signature] = tokens.HS256.split('.')
    const [, otherPayload, otherSignature] = other.split('.')
    for (const token of [
      `${header}.${otherPayload}.${signature}`,
      `${header}.${payload}.${otherSignature}`,
    ]) {
      assert.equal(
        refusal(() => lk.state.verify(ring, token, expected)),
        'state_bad_signature',
      )
    }
  })

  it('a token of one kind at the door of another', () => {
    for (const { open, malformed, allowed } of doors) {
      for (const { token } of doors) {
        const code = refusal(() => open(token))
        if (code !== undefined) assert.ok(code === malformed || allowed.includes(code))
      }
    }
    assert.equal(
      refusal(() => lk.state.verify(ring, principal, expected)),
      'state_malformed',
    )
    assert.equal(
      refusal(() => lk.principal.verify(ring, tokens.HS256, { now })),
      'principal_invalid',
    )
  })
})

it('T03: anything but exactly two dots is malformed', () => {
  const [header, payload, signature] = tokens.HS256.split('.')
  for (const parts of [
    [tokens.HS256.replaceAll('.', '')],
    [header, payload],
    [header, payload, signature, ''],
    [header, payload, signature, signature],
    ['', header, payload, signature],
    ['', '', ''],
    ['', '', '', ''],
  ]) {
    const token = parts.join('.')
    assert.equal(
      refusal(() => lk.state.verify(ring, token, expected)),
      'state_malformed',
      token,
    )
  }
  assert.equal(
    refusal(() => lk.state.verify(ring, '', expected)),
    'state_missing',
  )
})

it('a token has at most 4,096 bytes', () => {
  const long = (length: number) => tokens.HS256.padEnd(length, 'A')
  assert.equal(
    refusal(() => lk.state.verify(ring, long(4096), expected)),
    'state_malformed',
  )
  for (const token of [long(4097), long(100_000), long(5_000_000), 'é'.repeat(2049)]) {
    assert.equal(
      refusal(() => lk.state.verify(ring, token, expected)),
      'state_too_long',
    )
    assert.equal(
      refusal(() => lk.state.peek(token)),
      'state_malformed',
    )
    assert.equal(
      refusal(() => lk.principal.verify(ring, token, { now })),
      'principal_invalid',
    )
  }
})

describe('T05: time', () => {
  const at = (time: number, skewMs?: number) =>
    refusal(() =>
      lk.state.verify(ring, tokens.HS256, {
        ...expected,
        now: time,
        ...(skewMs === undefined ? {} : { skewMs }),
      }),
    )

  it('600 s are valid, 601 are not, and expiry knows no skew', () => {
    assert.equal(at(now + 600_000), undefined)
    assert.equal(at(now + 600_999), undefined)
    assert.equal(at(now + 601_000), 'state_expired')
    assert.equal(at(now + 601_000, 300_000), 'state_expired')
  })
  it('an issue time may lie 60 s ahead, or what the caller says up to 300', () => {
    assert.equal(at(now - 60_000), undefined)
    assert.equal(at(now - 60_001), 'state_from_future')
    assert.equal(at(now - 1, 0), 'state_from_future')
    assert.equal(at(now - 300_000, 300_000), undefined)
    assert.equal(at(now, 300_001), 'time_invalid')
  })
  it('what is no time is refused', () => {
    for (const time of [NaN, Infinity, -Infinity, -1, 0.5, 8.64e15 + 1, Number.MAX_VALUE]) {
      assert.equal(at(time), 'time_invalid')
      assert.equal(at(now, time), 'time_invalid')
      assert.equal(
        refusal(() => lk.state.issue(ring, claims, { now: time, entropy })),
        'time_invalid',
      )
      assert.equal(
        refusal(() => lk.state.issue(ring, { ...claims, ttlMs: time }, ctx)),
        'claim_invalid',
      )
      assert.equal(
        refusal(() => lk.principal.verify(ring, principal, { now: time })),
        'time_invalid',
      )
    }
    for (const time of ['', '5', null, true, [], [5], {}, new Date(now)] as unknown as number[]) {
      const refused = (call: () => unknown) => {
        try {
          assert.equal(refusal(call), 'time_invalid', `${typeof time} ${String(time)}`)
        } catch (error) {
          if (!(error instanceof TypeError)) throw error
        }
      }
      refused(() => lk.state.verify(ring, tokens.HS256, { ...expected, now: time }))
      refused(() => lk.state.issue(ring, claims, { now: time, entropy }))
      refused(() => lk.principal.issue(ring, { subject: 'a', kind: 'human' }, { now: time }))
      refused(() => lk.principal.verify(ring, principal, { now: time }))
    }
  })
  it('a life is whole seconds, 1 to 3,600', () => {
    const issue = (ttlMs: number) => refusal(() => lk.state.issue(ring, { ...claims, ttlMs }, ctx))
    for (const good of [1000, 600_000, 3_600_000]) assert.equal(issue(good), undefined)
    for (const bad of [0, 999, 1001, 3_600_001, 3_601_000, -1000]) assert.equal(issue(bad), 'claim_invalid')
  })
})

describe('T10: a state of another flow, person, provider or browser', () => {
  const cases: readonly [keyof Expected, unknown, ErrorCode][] = [
    ['issuer', 'https://other.example', 'issuer_mismatch'],
    ['issuer', 'https://app.example/', 'issuer_mismatch'],
    ['issuer', '', 'issuer_mismatch'],
    ['audience', 'https://app.example/callback/gi', 'audience_mismatch'],
    ['audience', 'https://app.example/callback/git2', 'audience_mismatch'],
    ['audience', '', 'audience_mismatch'],
    ['flow', 'sign-in', 'flow_mismatch'],
    ['flow', 'Connect', 'flow_mismatch'],
    ['provider', 'gitlab', 'provider_mismatch'],
    ['subject', 'sam', 'subject_mismatch'],
    ['subject', 'alex ', 'subject_mismatch'],
    ['binding', canary('another browser'), 'binding_mismatch'],
    ['binding', binding.subarray(0, 31), 'binding_mismatch'],
    ['binding', new Uint8Array(33), 'binding_mismatch'],
    ['binding', new Uint8Array(32), 'binding_mismatch'],
    ['binding', undefined, 'binding_mismatch'],
    // Something empty to compare with is not the absence of anything to compare with.
    ['flow', '', 'flow_mismatch'],
    ['provider', '', 'provider_mismatch'],
    ['subject', '', 'subject_mismatch'],
    ['binding', new Uint8Array(0), 'binding_mismatch'],
  ]
  for (const [name, value, code] of cases) {
    it(`${name} ${value instanceof Uint8Array ? `of ${value.length} bytes` : JSON.stringify(value)}`, () => {
      const wrong = { ...expected, [name]: value } as Expected
      for (const token of Object.values(tokens)) {
        assert.equal(
          refusal(() => lk.state.verify(ring, token, wrong)),
          code,
        )
      }
      assert.equal(
        refusal(() => lk.state.verify(jwks, tokens.EdDSA, wrong)),
        code,
      )
      assert.equal(
        refusal(() => verifier.state.verify(jwks, tokens.EdDSA, wrong)),
        code,
      )
    })
  }

  it('flow, provider and subject are compared only where the caller names them', () => {
    const { issuer, audience } = expected
    lk.state.verify(ring, tokens.HS256, { now, issuer, audience, binding })
  })

  it('a state without binding is refused where a binding is expected', () => {
    const { binding: _, ...unbound } = claims
    const { token } = lk.state.issue(ring, unbound satisfies StateClaims, ctx)
    const { binding: __, ...unboundExpected } = expected
    lk.state.verify(ring, token, unboundExpected)
    assert.equal(
      refusal(() => lk.state.verify(ring, token, expected)),
      'binding_mismatch',
    )
    const empty = { ...expected, binding: new Uint8Array(0) }
    assert.equal(
      refusal(() => lk.state.verify(ring, token, empty)),
      'binding_mismatch',
    )
  })

  it('only the verify-only reader can leave the binding out', () => {
    const blind: VerifierExpected = { ...expected, binding: skipBinding }
    assert.equal(verifier.state.verify(jwks, tokens.EdDSA, blind).subject, 'alex')
    for (const keys of [ring, jwks]) {
      assert.throws(() => lk.state.verify(keys, tokens.EdDSA, blind as Expected))
    }
  })

  it('an empty claim is refused and not left out', () => {
    const issue = (change: Partial<StateClaims>) =>
      refusal(() => lk.state.issue(ring, { ...claims, ...change }, ctx))
    for (const name of ['issuer', 'audience', 'flow', 'provider', 'subject', 'app'] as const) {
      assert.equal(issue({ [name]: '' }), 'claim_invalid', name)
    }
    assert.equal(issue({ owner: { kind: 'user', id: '' } }), 'claim_invalid')
    assert.equal(issue({ returnTo: '' }), 'return_to_invalid')
    for (const length of [0, 31, 33])
      assert.equal(issue({ binding: new Uint8Array(length) }), 'claim_invalid')
  })

  it('too little entropy is refused', () => {
    for (const length of [0, 15]) {
      const short = { now, entropy: new Uint8Array(length) }
      assert.equal(
        refusal(() => lk.state.issue(ring, claims, short)),
        'claim_invalid',
      )
    }
    const short = { entropy: new Uint8Array(23) }
    assert.equal(
      refusal(() => lk.seal.seal(ring, new Uint8Array(1), [], short)),
      'claim_invalid',
    )
  })
})

describe('T13: distinct identities stay distinct', () => {
  const parts = [
    'a',
    'b',
    'ab',
    'a.b',
    'a_b',
    'a:b',
    'a,b',
    'a|b',
    'a/b',
    'a"b',
    'a\\b',
    'a b',
    'user:a',
    'org:a',
    'é',
    'e\u0301',
    'A',
  ]

  it('in a token', () => {
    const seen = new Map<string, string>()
    for (const subject of parts) {
      for (const id of parts) {
        for (const kind of ['user', 'org'] as const) {
          const of = JSON.stringify([subject, kind, id])
          const mine = { ...claims, subject, owner: { kind, id } }
          const { token } = lk.state.issue(ring, mine, ctx)
          assert.equal(seen.get(token), undefined, of)
          seen.set(token, of)
          const state = lk.state.verify(ring, token, { ...expected, subject })
          assert.deepEqual([state.subject, state.owner], [subject, { kind, id }])
        }
      }
    }
  })

  it('in what a sealed text is bound to', () => {
    const contexts = [
      [],
      [''],
      ['', ''],
      ['ab'],
      ['a', 'b'],
      ['', 'ab'],
      ['ab', ''],
      ['a,b'],
      ['b', 'a'],
      ['a', 'b', ''],
      ['a\0b'],
      ['é'],
      ['e\u0301'],
    ]
    for (const context of contexts) {
      const text = lk.seal.seal(ring, canary('plain'), context, { entropy })
      for (const other of contexts) {
        const code = refusal(() => lk.seal.open(ring, text, other))
        assert.equal(code, other === context ? undefined : 'seal_invalid', JSON.stringify([context, other]))
      }
    }
  })
})

describe('T14: keys', () => {
  const hex = Buffer.from(canary('key')).toString('hex')
  const base64 = Buffer.from(canary('key')).toString('base64')
  const good = [`k:${hex}`, `k:${hex.toUpperCase()}`, `k:${base64}`, `${'k'.repeat(32)}:${hex}`]
  const bad: readonly [string, ErrorCode][] = [
    ['', 'key_ring_empty'],
    [hex, 'key_invalid'],
    [`:${hex}`, 'key_invalid'],
    ['k:', 'key_invalid'],
    [`k.1:${hex}`, 'key_invalid'],
    [`${'k'.repeat(33)}:${hex}`, 'key_invalid'],
    [` k:${hex}`, 'key_invalid'],
    [`k: ${hex}`, 'key_invalid'],
    [`k:${hex}\n`, 'key_invalid'],
    [`k:${hex},`, 'key_invalid'],
    [`,k:${hex}`, 'key_invalid'],
    [`k:${hex.slice(1)}`, 'key_invalid'],
    [`k:${hex}0`, 'key_invalid'],
    [`k:${hex.slice(0, -1)}g`, 'key_invalid'],
    [`k:${Buffer.alloc(24).toString('base64')}`, 'key_invalid'],
    [`k:${Buffer.alloc(35).toString('base64')}`, 'key_invalid'],
    [`k:${base64}=`, 'key_invalid'],
    [`k:${base64.slice(0, -2)}B=`, 'key_invalid'],
    [`k:${hex},k:${hex.replace('0', '1')}`, 'key_duplicate'],
    [`k:${hex},l:${hex}`, 'key_duplicate'],
    [`k:${hex},l:${base64}`, 'key_duplicate'],
    [`k:${hex}\ud800`, 'key_invalid'],
    [`ké:${hex}`, 'key_invalid'],
    ['k'.repeat(1_000_000), 'key_invalid'],
  ]
  it('of the right form', () => {
    for (const text of good) {
      lk.keys.parse(text)
      lk.keys.parse(Buffer.from(text))
    }
  })
  for (const [text, code] of bad) {
    it(`${JSON.stringify(text.length > 80 ? `${text.slice(0, 60)}… ${text.length}` : text)} is refused`, () => {
      const got = refusal(() => lk.keys.parse(text))
      if (code === 'key_invalid')
        assert.ok(got === code || got === 'utf8_invalid' || got === 'output_too_small', got)
      else assert.equal(got, code)
    })
  }
  it('at most eight', () => {
    const ringOf = (count: number) =>
      Array.from(
        { length: count },
        (_, i) => `k${i}:${Buffer.from(canary(`key ${i}`)).toString('hex')}`,
      ).join()
    assert.equal(lk.keys.publicJwks(lk.keys.parse(ringOf(8))).keys.length, 8)
    assert.equal(
      refusal(() => lk.keys.parse(ringOf(9))),
      'key_invalid',
    )
  })
  it('what `generate` makes, `parse` takes', () => {
    const made = lk.keys.generate('2026-11_a', canary('entropy'))
    assert.deepEqual(lk.keys.publicJwks(lk.keys.parse(made)).keys[0]?.['kid'], '2026-11_a.ed')
    for (const length of [0, 31, 33]) {
      assert.equal(
        refusal(() => lk.keys.generate('k', new Uint8Array(length))),
        'key_invalid',
      )
    }
    for (const kid of ['', 'a b', 'a:b', 'a,b', 'a.ed', 'é', 'k'.repeat(33)]) {
      assert.equal(
        refusal(() => lk.keys.generate(kid, canary('entropy'))),
        'key_invalid',
        kid,
      )
    }
  })
})

describe('a ring gives nothing away', () => {
  let shown: string
  before(async () => {
    const { inspect } = await import('node:util')
    shown = [
      inspect(ring, { depth: 9, showHidden: true, getters: true }),
      JSON.stringify(ring),
      String(ring),
      JSON.stringify(Object.getOwnPropertyDescriptors(ring)),
      inspect(structuredClone(ring), { depth: 9, showHidden: true }),
    ].join(' ')
  })
  it('printed, serialised or cloned', () => {
    assert.ok(!/[0-9a-f]{8}|\d+, \d+|Uint8Array/i.test(shown), shown)
    for (const fake of [structuredClone(ring), {}, { ...ring }, Object.create(ring), new Proxy(ring, {})]) {
      assert.equal(
        refusal(() => lk.state.issue(fake as typeof ring, claims, ctx)),
        'key_ring_empty',
      )
    }
  })
})

it('T06: every code has a public code, and no other', () => {
  for (const code of codes) assert.match(publicCode(code as ErrorCode), /^[a-z]+(_[a-z]+)*$/)
  for (const strange of ['ok', '', 'nonsense', 'constructor', '__proto__', undefined, null, 5]) {
    assert.equal(publicCode(strange as ErrorCode), 'misconfigured')
  }
})
