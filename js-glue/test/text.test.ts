// T02: text of any kind in every text argument. What is not well-formed is refused; what is different stays different.
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { LatchkeyError } from '../src/errors.ts'
import { type Call, invoke, latchkeyCalls, places, replaced, verifierCalls } from './calls.ts'
import {
  canary,
  claims,
  codes,
  entropy,
  expected,
  keyText,
  now,
  type Opened,
  openLatchkey,
  openVerifier,
  refusal,
} from './support.ts'

const edge = openLatchkey()
const { api: lk } = edge
const browser = openVerifier()
const ring = lk.keys.parse(keyText)
const engines: readonly [string, Opened<object>, Call[]][] = [
  ['Latchkey', edge, latchkeyCalls(lk)],
  ['Verifier', browser, verifierCalls(browser.api, lk)],
]

const broken = ['\ud800', '\udbff', '\udc00', '\udfff', '\udc00\ud800', '\ud83d\ud83d\ude00']
const strange = [
  'é',
  'e\u0301',
  '\u212a',
  'ß',
  'İ',
  '\u202e',
  '\u200b',
  '\ufeff',
  '\ufffd',
  '\ufffe',
  '\uffff',
  '😀',
  '\u{10ffff}',
  '\u{e0001}',
  'ａ',
]

/** A text with something before, behind and in it. */
const around = (text: string, more: string) => [
  more + text,
  text + more,
  text.slice(0, text.length / 2) + more + text.slice(text.length / 2),
  more,
]

/** What a call says to something: nothing when it takes it. */
function no(call: Call, args: readonly unknown[]): string | undefined {
  try {
    const answer = invoke(call, args)
    return call.isNo?.(answer) ? 'no' : undefined
  } catch (error) {
    if (error instanceof LatchkeyError && codes.has(error.code)) return error.code
    throw error
  }
}

for (const [engine, opened, calls] of engines) {
  describe(engine, () => {
    for (const [index, call] of calls.entries()) {
      const texts = [...places(call.args())].filter(
        (place): place is readonly [string, string] =>
          typeof place[1] === 'string' &&
          (call.name === 'config.check' || !call.inner || !place[0].startsWith(call.inner)),
      )
      if (texts.length === 0) continue
      it(`${call.name} (${index}): half a character is refused in every text`, () => {
        for (const [path, text] of texts) {
          for (const half of broken) {
            for (const bad of around(text, half)) {
              const said = no(call, replaced(call.args(), path, bad))
              assert.notEqual(said, undefined, `${path} ${JSON.stringify(bad)}`)
            }
          }
        }
        assert.equal(opened.instances.length, 1)
        assert.equal(no(call, call.args()), undefined)
      })
      it(`${call.name} (${index}): any other text is taken or refused by its code`, () => {
        for (const [path, text] of texts) {
          for (const more of [...strange, '\0', '\x1f', '\x7f', '\x80', '\n', '"', '\\', '%00', '\u2028']) {
            for (const odd of around(text, more)) no(call, replaced(call.args(), path, odd))
          }
        }
        assert.equal(opened.instances.length, 1)
      })
    }
  })
}

/** Texts that some step of some system takes for one another. */
const alike = [
  'alex',
  'Alex',
  'ALEX',
  'alex ',
  ' alex',
  'al\u00adex',
  'a\u200blex',
  '\ufeffalex',
  'аlex',
  'ａlex',
  'alex\u0301',
  'aléx',
  'ale\u0301x',
  'K',
  '\u212a',
  'ß',
  'ss',
  'ẞ',
  'ı',
  'i',
  'İ',
  'i\u0307',
  '\ufffd',
  '\ufffd\ufffd',
  '%61lex',
  '&#97;lex',
  '\\u0061lex',
  '"alex"',
  "alex'",
  'alex\u2028',
  '😀',
  '\u{1f600}\ufe0f',
]

describe('texts that look alike stay apart', () => {
  for (const [index, call] of latchkeyCalls(lk).entries()) {
    for (const path of call.free ?? []) {
      it(`${call.name} (${index}) ${path}`, () => {
        const given =
          call.name.startsWith('scope.') && !path.endsWith('org')
            ? replaced(call.args(), '0.org', undefined)
            : call.args()
        const made = new Map<string, string>()
        for (const text of alike) {
          if (call.name === 'scope.connectTarget' && path.endsWith('subject'))
            given[0] = { ...(given[0] as object), requested: 'user' }
          const made1 = JSON.stringify(invoke(call, replaced(given, path, text)))
          if (path.endsWith('role') && call.name.startsWith('scope.')) continue
          assert.equal(made.get(made1), undefined, JSON.stringify([made.get(made1), text]))
          made.set(made1, text)
        }
      })
    }
  }

  it('and come out as they went in', () => {
    for (const text of alike) {
      const { token } = lk.state.issue(
        ring,
        { ...claims, subject: text, owner: { kind: 'org', id: text }, app: text },
        { now, entropy },
      )
      const state = lk.state.verify(ring, token, { ...expected, subject: text })
      assert.deepEqual([state.subject, state.owner.id, state.app], [text, text, text])
      for (const other of alike) {
        const code = refusal(() => lk.state.verify(ring, token, { ...expected, subject: other }))
        assert.equal(code, text === other ? undefined : 'subject_mismatch')
      }
      const principal = { subject: text, org: text, role: text, kind: 'device', device: text } as const
      assert.deepEqual(
        lk.principal.verify(ring, lk.principal.issue(ring, principal, { now }), { now }),
        principal,
      )
    }
  })

  it('nobody becomes an admin by spelling', () => {
    for (const role of [
      'Admin',
      'ADMIN',
      'admin ',
      ' admin',
      'admin\0',
      'ａdmin',
      'adm\u0131n',
      'ad\u00admin',
      '\ufeffowner',
      'owner,admin',
      'superadmin',
    ]) {
      assert.equal(lk.scope.writeTarget({ subject: 'alex', org: 'acme', role }).scope, 'user', role)
    }
  })
})

it('control characters are in no claim, wherever they stand', () => {
  for (let code = 0; code < 0xa0; code++) {
    const control = code < 0x20 || (code >= 0x7f && code < 0xa0)
    for (const subject of around('alex', String.fromCharCode(code))) {
      const got = refusal(() => lk.state.issue(ring, { ...claims, subject }, { now, entropy }))
      assert.equal(got, control ? 'claim_invalid' : undefined, code.toString(16))
    }
  }
})

it('a claim has 255 bytes, however many characters', () => {
  const issue = (subject: string) =>
    refusal(() => lk.state.issue(ring, { ...claims, subject }, { now, entropy }))
  for (const [text, bytes] of [
    ['a', 1],
    ['é', 2],
    ['\u20ac', 3],
    ['😀', 4],
  ] as const) {
    assert.equal(issue(text.repeat(Math.floor(255 / bytes))), undefined)
    assert.equal(issue(text.repeat(Math.floor(255 / bytes) + 1)), 'claim_invalid')
  }
})

it('keys.parse takes bytes as it takes text', () => {
  const bytes = Buffer.from(keyText)
  assert.deepEqual(lk.keys.publicJwks(lk.keys.parse(bytes)), lk.keys.publicJwks(ring))
  for (const bad of [
    Buffer.from([...bytes, 0xff]),
    Buffer.from([0xef, 0xbb, 0xbf, ...bytes]),
    canary('no text', 70),
  ]) {
    assert.equal(
      refusal(() => lk.keys.parse(bad)),
      'key_invalid',
    )
  }
})
