import { base64url, capabilityText, type Json } from '../reference.ts'
import { changed, document, Group, k1, k2, now, ring, seconds } from './common.ts'

const entropy = 'a5'.repeat(16)
const jti = base64url(Buffer.from(entropy, 'hex'))
const says = (changes: Json = {}): string =>
  JSON.stringify({
    for: 'git',
    sub: 'ada',
    own: 'org:acme',
    as: 'github',
    cid: 'box-1',
    can: 'fetch push',
    epoch: 7,
    iat: seconds,
    exp: seconds + 3600,
    jti,
    ...changes,
  })
const claims = {
  purpose: 'git',
  subject: 'ada',
  owner: { kind: 'org', id: 'acme' },
  provider: 'github',
  container: 'box-1',
  can: ['fetch', 'push'],
  epoch: 7,
  expiresAt: now + 3_600_000,
}
const text = capabilityText(2, k1, says())
const hello = 'https://github.com/octo/hello.git'

const mint = new Group('capability.mint')
mint.good('container', 'T15: version 2 is bound to a container.', { ring, claims, now, entropy }, text)
const { container: _, ...unbound } = claims
mint.good(
  'no-container',
  'T15: version 1 is not.',
  { ring, claims: unbound, now, entropy },
  capabilityText(1, k1, says({ cid: undefined })),
)
mint.bad(
  'life',
  'T15: more than four hours.',
  { ring, claims: { ...claims, expiresAt: now + 14_401_000 }, now, entropy },
  'capability_invalid',
)
mint.bad(
  'life-1',
  'T15: more than two.',
  { ring, claims: { ...unbound, expiresAt: now + 7_201_000 }, now, entropy },
  'capability_invalid',
)
mint.bad(
  'nothing',
  'Nothing may be done.',
  { ring, claims: { ...claims, can: [] }, now, entropy },
  'capability_invalid',
)
mint.bad('entropy', 'Too little.', { ring, claims, now, entropy: 'a5' }, 'capability_invalid')

const attenuate = new Group('capability.attenuate')
attenuate.good(
  'all',
  'A holder narrows without a key.',
  { text, narrowing: { repo: hello, can: ['fetch'], expiresAt: now + 60_000 } },
  capabilityText(2, k1, says(), [JSON.stringify({ repo: hello, can: 'fetch', exp: seconds + 60 })]),
)
attenuate.bad('nothing', 'Nothing is given up.', { text, narrowing: {} }, 'capability_invalid')
attenuate.bad(
  'no-capability',
  'No capability.',
  { text: 'lkc2.k1', narrowing: { can: ['fetch'] } },
  'capability_invalid',
)

const verify = new Group('capability.verify')
const expected = { now, container: 'box-1', epoch: 7 }
const good = (name: string, comment: string, given: string, changes: object = {}, known: object = {}): void =>
  verify.good(
    name,
    comment,
    { ring, text: given, expected: { ...expected, ...known } },
    { ...claims, issuedAt: now, ...changes },
  )
const bad = (
  name: string,
  comment: string,
  given: string,
  error = 'capability_invalid',
  known: object = {},
): void => verify.bad(name, comment, { ring, text: given, expected: { ...expected, ...known } }, error)
const narrow = (...narrowings: readonly Json[]): string =>
  capabilityText(
    2,
    k1,
    says(),
    narrowings.map((one) => JSON.stringify(one)),
  )
good('whole', 'As it was made.', text)
good('narrowed', 'What is left of it.', narrow({ repo: hello }, { can: 'fetch' }, { exp: seconds + 60 }), {
  repo: hello,
  can: ['fetch'],
  expiresAt: now + 60_000,
})
good(
  'wider',
  'A later one gives nothing back.',
  narrow({ can: 'fetch' }, { can: 'fetch push read', exp: seconds + 9999 }),
  { can: ['fetch'] },
)
bad('nothing-left', 'Nothing may be done.', narrow({ can: 'fetch' }, { can: 'push' }))
bad('other-repo', 'Two repositories.', narrow({ repo: hello }, { repo: `${hello}x` }))
bad('widening', 'A narrowing says nothing else.', narrow({ sub: 'bob' }))
bad('changed', 'T01: one changed character.', changed(text, -9))
bad('unknown-key', 'A key that is not in the ring.', capabilityText(2, k2, says()))
bad('version', 'T15: version 1 with a container.', capabilityText(1, k1, says()))
bad('no-container', 'T15: version 2 without one.', capabilityText(2, k1, says({ cid: undefined })))
bad('purpose', 'T15: there is no such purpose.', capabilityText(2, k1, says({ for: 'scm' })))
bad('unknown-claim', 'T15: a claim that we do not know.', capabilityText(2, k1, says({ aud: 'x' })))
bad('future', 'T15: issued 61 seconds ahead.', text, 'capability_invalid', { now: now - 61_000 })
good('future-60', 'Issued 60 seconds ahead.', text, {}, { now: now - 60_000 })
bad('expired', 'T15: dead at its end.', text, 'capability_expired', { now: now + 3_600_000 })
good('last', 'Good until then.', text, {}, { now: now + 3_599_999 })
bad('epoch', 'Everything of its owner was revoked.', text, 'capability_revoked', { epoch: 8 })
bad('container', 'T15: another container.', text, 'container_mismatch', { container: 'box-2' })
good(
  'byte-order-mark',
  'Threat T29: a character that readers like to drop makes another person.',
  capabilityText(2, k1, says({ sub: '\ufeffada', own: 'org:\ufeffacme' })),
  { subject: '\ufeffada', owner: { kind: 'org', id: '\ufeffacme' } },
)
good('asked', 'T15: for what it was made.', text, {}, { purpose: 'git', provider: 'github' })
bad('api', 'T15: another purpose.', text, 'capability_invalid', { purpose: 'api' })
bad('provider', 'T15: another provider.', text, 'provider_mismatch', { provider: 'gitlab' })
bad('from-nowhere', 'T15: no container.', text, 'container_mismatch', { container: '' })

const redeem = new Group('capability.redeem')
const own = 'session:s-1'
const whole = { purpose: 'git', provider: own, repo: hello, can: ['fetch', 'push'] }
const asked = { own, repo: hello }
const given = (name: string, comment: string, changes: object, ender: string): void =>
  redeem.good(name, comment, { claims: { ...whole, ...changes }, asked }, ender)
const kept = (
  name: string,
  comment: string,
  changes: object,
  error = 'not_allowed',
  more: object = {},
): void =>
  redeem.bad(name, comment, { claims: { ...whole, ...changes }, asked: { ...asked, ...more } }, error)
given('own', 'The session’s own ends with the session.', {}, 'session')
given('connection', 'One of a connection ends with that.', { provider: 'github' }, 'connection')
given('more', 'What allows more allows this.', { can: ['fetch', 'push', 'read', 'write'] }, 'session')
kept('api', 'T15: another purpose.', { purpose: 'api' })
kept('other-session', 'Another session’s.', { provider: 'session:s-2' })
kept('longer', 'One whose id begins alike.', { provider: 'session:s-10' })
kept('no-session', 'No session’s.', { provider: 'session:' })
kept('fetch', 'E2: what was narrowed is not traded for the whole.', { can: ['fetch'] })
kept('push', 'E2: neither is this.', { can: ['push'] })
kept('read', 'Other verbs do not make up for one.', { can: ['fetch', 'read', 'write'] })
kept('other-repo', 'Another repository.', { repo: `${hello}x` }, 'repository_mismatch')
kept('any-repo', 'Any repository is none in particular.', { repo: '' }, 'repository_mismatch')
kept('none-asked', 'And nothing is asked for.', { repo: '' }, 'repository_mismatch', { repo: '' })
kept('no-own', 'The session has no name.', { provider: 'session:' }, 'not_allowed', { own: 'session:' })
kept('not-own', 'A name that could be a provider’s.', { provider: 'github' }, 'not_allowed', {
  own: 'github',
})

const revoke = new Group('capability.revoke')
const revoked = (name: string, comment: string, epoch: number, next: number, at = now): void =>
  revoke.good(name, comment, { epoch, now: at }, { epoch: next, keepUntil: at + 14_460_000 })
revoked('first', 'In seconds; kept for four hours and the skew.', 0, seconds)
revoked('later', 'Later than it was.', seconds - 1, seconds)
revoked('same-second', 'Twice within a second.', seconds, seconds + 1)
revoked('back', 'A clock that went back.', seconds + 100, seconds + 101)
revoked('last', 'There is no higher one.', 4_294_967_295, 4_294_967_295)
revoked('far', 'Nor for a clock that is far ahead.', 7, 4_294_967_295, 5_000_000_000_000)

export default document(
  'Capabilities: what untrusted work gets in place of a token.',
  mint,
  attenuate,
  verify,
  redeem,
  revoke,
)
