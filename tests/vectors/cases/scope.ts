import { document, Group, repeated } from './common.ts'

const write = new Group('scope.writeTarget')
const connect = new Group('scope.connectTarget')
const subject = 'ada@app.example'
const org = 'acme'
const user = (rule: string): object => ({ scope: 'user', id: subject, rule })
const acme = { scope: 'org', id: org, rule: 'org_admin' }

const roles: readonly (readonly [name: string, role: string | undefined, acts: boolean])[] = [
  ['owner', 'owner', true],
  ['admin', 'admin', true],
  ['member', 'member', false],
  ['none', undefined, false],
  ['capital', 'Admin', false],
  ['blank', 'admin ', false],
  ['plural', 'admins', false],
]
for (const [name, role, acts] of roles) {
  const facts = { subject, org, ...(role === undefined ? {} : { role }) }
  write.good(
    `org-${name}`,
    'T17: only exactly `owner` and `admin` act for the organisation.',
    facts,
    acts ? acme : user('role_is_member'),
  )
  const alone = { subject, ...(role === undefined ? {} : { role }) }
  write.good(`alone-${name}`, 'T17: without an organisation every role is a person.', alone, user('no_org'))
  connect.good(
    `self-${name}`,
    'T17: everybody may ask for their own.',
    { ...facts, requested: 'user' },
    user('asked_for_self'),
  )
  if (acts) {
    connect.good(
      `org-${name}`,
      'T17: those who act for the organisation may ask for its.',
      { ...facts, requested: 'org' },
      acme,
    )
  } else {
    connect.bad(
      `org-${name}`,
      'T18, T21: everybody else may not.',
      { ...facts, requested: 'org' },
      'not_allowed',
    )
  }
}
connect.bad(
  'org-alone',
  'T21: no organisation is active, and none is made up.',
  { subject, role: 'owner', requested: 'org' },
  'not_allowed',
)
connect.good('self-alone', 'A person alone.', { subject, requested: 'user' }, user('asked_for_self'))
connect.bad(
  'requested-unknown',
  'T21: there is no such scope.',
  { subject, org, role: 'owner', requested: 'team' },
  'claim_invalid',
)

for (const [name, comment, facts] of [
  ['subject-empty', 'Nobody.', { subject: '', org, role: 'owner' }],
  ['subject-256-bytes', 'One byte too long.', { subject: repeated('x', 256) }],
  ['subject-control', 'A control character.', { subject: 'a\u0000b' }],
  ['org-256-bytes', 'One byte too long.', { subject, org: repeated('x', 256), role: 'owner' }],
  ['org-control', 'A control character.', { subject, org: 'a\u0085b' }],
] as const) {
  write.bad(name, comment, facts, 'claim_invalid')
  connect.bad(name, comment, { ...facts, requested: 'org' }, 'claim_invalid')
}
write.good(
  '255-bytes',
  'The longest ids.',
  { subject: repeated('x', 255), org: repeated('y', 255), role: 'owner' },
  { scope: 'org', id: repeated('y', 255), rule: 'org_admin' },
)
write.good(
  'unlike',
  'T13: ids are taken as they are.',
  { subject: 'a.b@x', org: 'a_b@x', role: 'admin' },
  { scope: 'org', id: 'a_b@x', rule: 'org_admin' },
)

const erase = new Group('scope.eraseTarget')
for (const [name, kind, whose, rule] of [
  ['own', 'human', subject, 'own_account'],
  ['other', 'human', 'bob', undefined],
  ['unlike', 'human', subject.toUpperCase(), undefined],
  ['service', 'service', 'bob', 'on_behalf'],
  ['service-self', 'service', subject, 'on_behalf'],
  ['device', 'device', subject, undefined],
] as const) {
  const comment = 'T49: a person ends their own account, the application anyone’s.'
  const facts = { subject, kind, user: whose }
  if (rule === undefined) erase.bad(name, comment, facts, 'not_allowed')
  else erase.good(name, comment, facts, { scope: 'user', id: whose, rule })
}
erase.bad('user-empty', 'Nobody.', { subject, kind: 'service', user: '' }, 'claim_invalid')
erase.bad('kind-unknown', 'No such kind.', { subject, kind: 'root', user: subject }, 'claim_invalid')

export default document('Whose connection a request is about.', write, connect, erase)
