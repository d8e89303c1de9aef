import {
  compactJws,
  header,
  principalMac,
  principalToken,
  ringText,
  stateMac,
  stateSignature,
} from '../reference.ts'
import {
  bothKeys,
  changed,
  document,
  full,
  Group,
  k1,
  k2,
  now,
  repeated,
  ring,
  seconds,
  tokenOf,
} from './common.ts'

type Members = Readonly<Record<string, unknown>>
const says = (members: object): string => JSON.stringify(members)
const lives = (ttl = 60): Members => ({ iat: seconds, exp: seconds + ttl })

const issue = new Group('principal.issue')
function made(name: string, comment: string, principal: Members, payload: Members, ttlMs?: number): void {
  const input = { ring, principal, now: now + 500, ...(ttlMs === undefined ? {} : { ttlMs }) }
  issue.good(name, comment, input, principalToken(k1, says(payload)))
}
made(
  'human',
  'A person without an organisation; 60 seconds of life.',
  { subject: 'user-1', kind: 'human' },
  { sub: 'user-1', kind: 'human', ...lives() },
)
made(
  'member',
  'A person who acts in an organisation.',
  { subject: 'user-1', org: 'acme', role: 'admin', kind: 'human' },
  { sub: 'user-1', org: 'acme', role: 'admin', kind: 'human', ...lives() },
)
made(
  'org-without-role',
  'A role may be unknown.',
  { subject: 'user-1', org: 'acme', kind: 'human' },
  { sub: 'user-1', org: 'acme', kind: 'human', ...lives() },
)
made(
  'service',
  'Another program.',
  { subject: 'cron', kind: 'service' },
  { sub: 'cron', kind: 'service', ...lives() },
)
made(
  'device',
  'A device with its id.',
  { subject: 'user-1', kind: 'device', device: 'laptop' },
  { sub: 'user-1', kind: 'device', device: 'laptop', ...lives() },
)
made(
  'life-shortest',
  'One second.',
  { subject: 'user-1', kind: 'human' },
  { sub: 'user-1', kind: 'human', ...lives(1) },
  1_000,
)
made(
  'life-longest',
  'Five minutes.',
  { subject: 'user-1', kind: 'human' },
  { sub: 'user-1', kind: 'human', ...lives(300) },
  300_000,
)
made(
  'unicode',
  'Texts are UTF-8.',
  { subject: 'J\u00fcrgen "\\"', kind: 'human' },
  { sub: 'J\u00fcrgen "\\"', kind: 'human', ...lives() },
)

const refused = (
  name: string,
  comment: string,
  principal: Members,
  ttlMs?: number,
  error = 'principal_invalid',
): void =>
  issue.bad(name, comment, { ring, principal, now, ...(ttlMs === undefined ? {} : { ttlMs }) }, error)
const human = { subject: 'user-1', kind: 'human' }
refused('subject-empty', 'Nobody.', { subject: '', kind: 'human' })
refused('subject-256-bytes', 'One byte too long.', { subject: repeated('x', 256), kind: 'human' })
refused('subject-control', 'A control character.', { subject: 'a\u0007b', kind: 'human' })
refused('role-without-org', 'A role in no organisation.', { ...human, role: 'admin' })
refused('device-of-a-human', 'A device id on a person.', { ...human, device: 'laptop' })
refused('kind', 'There is no such kind.', { subject: 'user-1', kind: 'robot' })
refused('life-none', 'No life.', human, 0)
refused('life-fraction', 'No whole number of seconds.', human, 1_500)
refused('life-301', 'A second more than five minutes.', human, 301_000)
issue.bad(
  'time',
  'Not a whole number of milliseconds.',
  { ring, principal: human, now: 'NaN' },
  'time_invalid',
)

const verify = new Group('principal.verify')
const payload = { sub: 'user-1', org: 'acme', role: 'admin', kind: 'human', ...lives() }
const token = principalToken(k1, says(payload))
const acme = { subject: 'user-1', org: 'acme', role: 'admin', kind: 'human' }
const good = (name: string, comment: string, text: string, expect: Members = acme, at = now): void =>
  verify.good(name, comment, { ring, token: text, now: at }, expect)
const bad = (
  name: string,
  comment: string,
  text: unknown,
  error = 'principal_invalid',
  at: unknown = now,
): void => verify.bad(name, comment, { ring, token: text, now: at }, error)
const signed = (changes: Members): string => principalToken(k1, says({ ...payload, ...changes }))

good('member', 'A person who acts in an organisation.', token)
good(
  'human',
  'A person alone.',
  principalToken(k1, says({ sub: 'user-1', kind: 'human', ...lives() })),
  human,
)
good('service', 'Another program.', principalToken(k1, says({ sub: 'cron', kind: 'service', ...lives() })), {
  subject: 'cron',
  kind: 'service',
})
good(
  'device',
  'A device.',
  principalToken(k1, says({ sub: 'user-1', kind: 'device', device: 'laptop', ...lives() })),
  { subject: 'user-1', kind: 'device', device: 'laptop' },
)
good(
  'other-order',
  'The members in another order.',
  principalToken(k1, says(Object.fromEntries(Object.entries(payload).reverse()))),
)
verify.good('rotation', 'Every key of the ring verifies.', { ring: ringText(k2, k1), token, now }, acme)
good('life-longest', 'Five minutes.', signed(lives(300)))
bad('life-301', 'A second more than five minutes.', signed(lives(301)))
bad('life-none', 'No life.', signed(lives(0)))
good('last-second', 'All of its last second is good.', token, acme, now + 60_999)
bad('expired', 'The second after.', token, 'principal_expired', now + 61_000)
good('future-60-seconds', 'Issued 60 seconds ahead of our clock.', token, acme, now - 60_000)
bad('future-61-seconds', 'Issued 61 seconds ahead of our clock.', token, 'principal_invalid', now - 61_000)
bad('time', 'Not a whole number of milliseconds.', token, 'time_invalid', -1)

bad('empty', 'Nobody is signed in.', '', 'principal_missing')
bad('not-a-token', 'No token.', 'user-1')
bad('4097-bytes', 'Too long.', repeated('a', 4_097))
bad('three-dots', 'T03: three dots.', `${token}.AAAA`)
bad('padding', 'T01: padding.', `${token}=`)
bad('signature-bit', 'T01: one changed character of the MAC.', changed(token, -9))
bad('payload-bit', 'T01: one changed character of the payload.', changed(token, 100))
bad('unknown-key', 'A key that is not in the ring.', principalToken(k2, says(payload)))
verify.bad(
  'kid-swapped',
  'The id of another key of the ring.',
  {
    ring: bothKeys,
    token: compactJws(header('HS256', 'k2', 'latchkey-principal+jwt'), says(payload), principalMac(k1)),
    now,
  },
  'principal_invalid',
)
bad(
  'state-key',
  'The subkey of another purpose.',
  compactJws(header('HS256', 'k1', 'latchkey-principal+jwt'), says(payload), stateMac(k1)),
)
bad(
  'state-type',
  'The type of another purpose.',
  compactJws(header('HS256', 'k1', 'oauth-state+jwt'), says(payload), principalMac(k1)),
)
bad(
  'state-key-and-type',
  'Key and type of another purpose.',
  compactJws(header('HS256', 'k1', 'oauth-state+jwt'), says(payload), stateMac(k1)),
)
bad('state', 'A state is no assertion.', tokenOf(full))
bad(
  'eddsa',
  'The other algorithm.',
  compactJws(header('EdDSA', 'k1.ed', 'latchkey-principal+jwt'), says(payload), stateSignature(k1)),
)
bad(
  'alg-none',
  'No algorithm.',
  compactJws(header('none', 'k1', 'latchkey-principal+jwt'), says(payload), principalMac(k1)),
)
for (const name of ['sub', 'kind', 'iat', 'exp'])
  bad(`${name}-missing`, `\`${name}\` is required.`, signed({ [name]: undefined }))
bad('role-without-org', 'A role in no organisation.', signed({ org: undefined }))
bad('device-of-a-human', 'A device id on a person.', signed({ device: 'laptop' }))
bad('kind-unknown', 'There is no such kind.', signed({ kind: 'robot' }))
bad('kind-case', 'Kinds are compared exactly.', signed({ kind: 'Human' }))
bad('claim-unknown', 'A claim that we do not know.', signed({ aud: 'x' }))
bad(
  'claim-twice',
  'A claim twice.',
  principalToken(k1, says(payload).replace('"role":"admin"', '"role":"member","role":"admin"')),
)
bad('org-empty', 'Empty where it stands.', signed({ org: '' }))
bad('sub-256-bytes', 'One byte too long.', signed({ sub: 'x'.repeat(256) }))
bad('sub-number', 'A subject is text.', signed({ sub: 1 }))
bad('exp-text', 'A time is a number.', signed({ exp: String(seconds + 60) }))
bad('exp-fraction', 'A time is a whole number.', signed({ exp: seconds + 60.5 }))
bad('array', 'A payload is an object.', principalToken(k1, says([payload])))
bad('not-json', 'Signed, but no JSON.', principalToken(k1, '{'))

export default document('Assertions about who is calling.', issue, verify)
