import { document, Group, now } from './common.ts'

type Json = Readonly<Record<string, unknown>>
const ask = (
  name: string,
): ((id: string, comment: string, args: readonly unknown[], answer: unknown) => void) & {
  group: Group
  refuse: (id: string, comment: string, args: readonly unknown[], error: string) => void
} => {
  const group = new Group(name)
  const good = (id: string, comment: string, args: readonly unknown[], answer: unknown): void =>
    group.good(id, comment, { args }, answer)
  const refuse = (id: string, comment: string, args: readonly unknown[], error: string): void =>
    group.bad(id, comment, { args }, error)
  return Object.assign(good, { group, refuse })
}
const step = (rule: string, scope?: string): Json => (scope === undefined ? { rule } : { rule, scope })
const pair = [
  { required: true, present: true },
  { required: true, present: true },
  { required: false, present: true },
]
const ada = { subject: 'ada', org: 'acme', role: 'admin' }
const bob = { subject: 'bob', org: 'acme', role: 'member' }
const orgPlace = { scope: 'org', id: 'acme' }
const bobPlace = { scope: 'user', id: 'bob' }

const write = ask('scope.writePlan')
write(
  'org',
  'T19: the target is cleared, the own shadow too, then the whole set is written.',
  [{ ...ada, parts: pair }],
  {
    target: { ...orgPlace, rule: 'org_admin' },
    steps: [
      { action: 'clear', ...orgPlace },
      { action: 'clear', scope: 'user', id: 'ada' },
      { action: 'write', ...orgPlace },
    ],
    path: [
      step('org_admin'),
      step('clears_target', 'org'),
      step('clears_shadow', 'user'),
      step('writes_all', 'org'),
    ],
  },
)
write('member', 'T17: a member writes their own and touches nothing else.', [{ ...bob, parts: pair }], {
  target: { ...bobPlace, rule: 'role_is_member' },
  steps: [
    { action: 'clear', ...bobPlace },
    { action: 'write', ...bobPlace },
  ],
  path: [step('role_is_member'), step('clears_target', 'user'), step('writes_all', 'user')],
})
write.refuse(
  'half',
  'T23: half a pair is not written.',
  [{ ...ada, parts: [pair[0], { required: true, present: false }] }],
  'credential_incomplete',
)
write.refuse(
  'nothing-required',
  'A credential has a part.',
  [{ ...ada, parts: [{ required: false, present: true }] }],
  'credential_incomplete',
)
write.refuse(
  'member-for-org',
  'T21: a member may not.',
  [{ ...bob, requested: 'org', parts: pair }],
  'not_allowed',
)
write.refuse(
  'unknown-scope',
  'T21: there is no such scope.',
  [{ ...ada, requested: 'team', parts: pair }],
  'claim_invalid',
)

const remove = ask('scope.deletePlan')
remove('member', 'T18: the plan of a member never names the organisation.', [bob], {
  target: { ...bobPlace, rule: 'role_is_member' },
  steps: [{ action: 'clear', ...bobPlace }],
  path: [step('role_is_member'), step('clears_target', 'user')],
})
remove.refuse(
  'member-for-org',
  'T18: nor when it is asked for.',
  [{ ...bob, requested: 'org' }],
  'not_allowed',
)

const plan = ask('scope.readPlan')
plan('member', 'The usual order; the deployment only by policy.', [{ subject: 'bob', org: 'acme' }], {
  places: [bobPlace, orgPlace, { scope: 'workspace', id: 'acme' }],
  path: [step('fallback_off', 'deployment')],
})
plan(
  'alone',
  'Without an organisation the workspace is the solo one.',
  [{ subject: 'bob', policy: { deployment: true } }],
  {
    places: [bobPlace, { scope: 'solo', id: 'bob' }, { scope: 'deployment', id: '' }],
    path: [step('no_org')],
  },
)
plan(
  'lookup-failed',
  'T24: what membership hides is not looked at.',
  [{ subject: 'bob', membership: 'failed' }],
  {
    places: [bobPlace],
    path: [step('lookup_failed')],
  },
)
plan(
  'personal-only',
  'Nothing but the own.',
  [{ subject: 'bob', org: 'acme', policy: { personalOnly: true } }],
  {
    places: [bobPlace],
    path: [step('personal_only')],
  },
)
plan.refuse(
  'order-twice',
  'No scope twice.',
  [{ subject: 'bob', policy: { order: ['user', 'user'] } }],
  'claim_invalid',
)
plan.refuse(
  'order-unknown',
  'No unknown scope.',
  [{ subject: 'bob', policy: { order: ['team'] } }],
  'claim_invalid',
)

const resolve = ask('scope.resolve')
const at = { now }
const whole = (scope: string, id: string): Json => ({ scope, id, held: 'whole' })
resolve(
  'own-first',
  'X1: the own before the organisation\u2019s.',
  [{ subject: 'bob', org: 'acme' }, [whole('org', 'acme'), whole('user', 'bob')], at],
  {
    outcome: 'found',
    place: bobPlace,
    path: [step('found', 'user')],
  },
)
resolve(
  'half',
  'T23: half an own pair is a miss; the organisation\u2019s is used whole.',
  [{ subject: 'bob', org: 'acme' }, [{ ...bobPlace, held: 'part' }, whole('org', 'acme')], at],
  { outcome: 'found', place: orgPlace, path: [step('incomplete', 'user'), step('found', 'org')] },
)
for (const [name, age, found] of [
  ['rejected-14m59.999s', 899_999, false],
  ['rejected-15m', 900_000, true],
] as const) {
  resolve(
    name,
    'The mark holds for less than 15 minutes.',
    [
      { subject: 'bob', org: 'acme' },
      [{ ...whole('user', 'bob'), rejectedAt: now - age }, whole('org', 'acme')],
      at,
    ],
    found
      ? { outcome: 'found', place: bobPlace, path: [step('found', 'user')] }
      : { outcome: 'found', place: orgPlace, path: [step('rejected', 'user'), step('found', 'org')] },
  )
}
resolve(
  'revoked',
  'Ending one\u2019s own does not fall through to the organisation\u2019s.',
  [{ subject: 'bob', org: 'acme' }, [{ ...bobPlace, held: 'revoked' }, whole('org', 'acme')], at],
  { outcome: 'revoked', place: bobPlace, path: [step('revoked', 'user')] },
)
resolve(
  'past-revoked',
  'Unless the policy says so.',
  [
    { subject: 'bob', org: 'acme', policy: { pastRevoked: true } },
    [{ ...bobPlace, held: 'revoked' }, whole('org', 'acme')],
    at,
  ],
  { outcome: 'found', place: orgPlace, path: [step('revoked', 'user'), step('found', 'org')] },
)
resolve(
  'past-all',
  'Where all have ended, the first is told.',
  [
    { subject: 'bob', org: 'acme', policy: { order: ['user', 'org'], pastRevoked: true } },
    [
      { ...bobPlace, held: 'refused' },
      { ...orgPlace, held: 'revoked' },
    ],
    at,
  ],
  { outcome: 'refused', place: bobPlace, path: [step('refused', 'user'), step('revoked', 'org')] },
)
resolve(
  'refused',
  'One that has to be connected again does not fall through either.',
  [{ subject: 'bob', org: 'acme' }, [{ ...bobPlace, held: 'refused' }, whole('org', 'acme')], at],
  { outcome: 'refused', place: bobPlace, path: [step('refused', 'user')] },
)
resolve(
  'unanswered',
  'T24: a store that did not answer is no empty one.',
  [{ subject: 'bob', org: 'acme' }, [{ ...bobPlace, held: 'unanswered' }, whole('org', 'acme')], at],
  { outcome: 'lookup_failed', place: bobPlace, path: [step('unanswered', 'user')] },
)
resolve(
  'ask',
  'What has not been asked yet, and matters.',
  [
    { subject: 'bob', org: 'acme' },
    [
      { ...bobPlace, held: 'nothing' },
      { ...orgPlace, held: 'unasked' },
    ],
    at,
  ],
  { outcome: 'ask', place: orgPlace, path: [step('absent', 'user')] },
)
resolve(
  'only-org',
  'The organisation\u2019s, as the caller asked.',
  [
    { subject: 'bob', org: 'acme', policy: { only: 'org' } },
    [whole('user', 'bob'), whole('org', 'acme')],
    at,
  ],
  { outcome: 'found', place: orgPlace, path: [step('foreign'), step('found', 'org')] },
)
resolve(
  'only-org-personal',
  'Asking does not widen what may be used.',
  [{ subject: 'bob', org: 'acme', policy: { personalOnly: true, only: 'org' } }, [whole('org', 'acme')], at],
  {
    outcome: 'not_connected',
    path: [step('foreign'), step('personal_only'), step('not_asked', 'user')],
  },
)
resolve(
  'foreign',
  'T29: rows of others are nothing.',
  [{ subject: 'bob' }, [whole('user', 'ada'), whole('org', 'acme')], at],
  {
    outcome: 'not_connected',
    path: [
      step('foreign'),
      step('absent', 'user'),
      step('absent', 'solo'),
      step('no_org'),
      step('fallback_off', 'deployment'),
    ],
  },
)
resolve(
  'lookup-failed',
  'T24: not "not connected", and never the solo row.',
  [{ subject: 'bob', membership: 'failed' }, [whole('solo', 'bob')], at],
  {
    outcome: 'lookup_failed',
    path: [step('foreign'), step('absent', 'user'), step('lookup_failed')],
  },
)
resolve('nobody', 'Nobody reads nothing.', [{ subject: '' }, [whole('deployment', '')], at], {
  outcome: 'nobody',
  path: [step('no_subject')],
})
resolve.refuse(
  'twice',
  'One place twice.',
  [{ subject: 'bob' }, [whole('user', 'bob'), whole('user', 'bob')], at],
  'claim_invalid',
)

const mutate = ask('scope.mayMutate')
const set = { ...ada, requested: 'org', verb: 'set', value: 's', registered: true }
mutate('admin', 'T21: an admin may.', [set], { ok: true, place: orgPlace, path: [step('org_admin', 'org')] })
mutate('order-404', 'The order of the statuses.', [{ ...set, registered: false, value: '' }], {
  ok: false,
  status: 404,
  path: [step('not_registered')],
})
mutate('order-400', 'The order of the statuses.', [{ ...set, subject: '', value: ' \n' }], {
  ok: false,
  status: 400,
  path: [step('value_empty')],
})
mutate('order-401', 'The order of the statuses.', [{ ...set, subject: '', device: true }], {
  ok: false,
  status: 401,
  path: [step('no_subject')],
})
mutate('no-org', 'T21: an organisation is asked for and none is active.', [{ ...set, org: '' }], {
  ok: false,
  status: 401,
  path: [step('no_org')],
})
mutate('other-org', 'T22: even for admins.', [{ ...set, targetOrg: 'zeta' }], {
  ok: false,
  status: 403,
  place: orgPlace,
  path: [step('other_org')],
})
mutate('member', 'T21: a member may not.', [{ ...set, role: 'Admin' }], {
  ok: false,
  status: 403,
  place: orgPlace,
  path: [step('role_is_member', 'org')],
})
mutate('solo', 'A person\u2019s own workspace.', [{ ...set, org: '', requested: 'workspace' }], {
  ok: true,
  place: { scope: 'solo', id: 'ada' },
  path: [step('own', 'solo')],
})
mutate.refuse(
  'unknown-scope',
  'T21: there is no such scope.',
  [{ ...set, requested: 'team' }],
  'claim_invalid',
)

const connect = { ...ada, requested: 'org', verb: 'connect', registered: true, connected: true }
mutate('connect', 'An admin connects for the organisation.', [connect], {
  ok: true,
  place: orgPlace,
  path: [step('org_admin', 'org')],
})
mutate('connect-kind', 'What is connected is not typed in.', [{ ...set, connected: true }], {
  ok: false,
  status: 400,
  path: [step('wrong_kind')],
})
mutate('connect-typed', 'What is typed in is not connected.', [{ ...connect, connected: false }], {
  ok: false,
  status: 400,
  path: [step('wrong_kind')],
})
mutate('connect-unread', 'Nothing is connected that would never be used.', [{ ...connect, unread: true }], {
  ok: false,
  status: 403,
  place: orgPlace,
  path: [step('never_read', 'org')],
})
mutate(
  'disconnect-unread',
  'And can still be disconnected.',
  [{ ...connect, verb: 'disconnect', unread: true }],
  { ok: true, place: orgPlace, path: [step('org_admin', 'org')] },
)
mutate(
  'connect-device',
  'A device changes nothing.',
  [{ ...connect, requested: 'user', verb: 'disconnect', device: true }],
  {
    ok: false,
    status: 403,
    place: { scope: 'user', id: 'ada' },
    path: [step('device_may_not')],
  },
)

const gap = ask('scope.gap')
const held = [whole('org', 'acme'), whole('org', 'zeta'), whole('user', 'ada'), { ...bobPlace, held: 'part' }]
gap('told', 'B4: who has one, inside the caller\u2019s organisation.', [bob, held], { has: ['org'] })
gap('alone', 'B4: silent without an organisation.', [{ subject: 'bob' }, held], { has: [] })
gap('failed', 'B4: silent when it could not be found out.', [{ ...bob, membership: 'failed' }, held], {
  has: [],
})
gap.refuse('nobody', 'B4: nobody is told anything.', [{ subject: '' }, held], 'claim_invalid')

const sweep = ask('scope.sweep')
const leaving = { subject: 'bob', org: 'acme' }
for (const [id, comment, row, action, rule] of [
  ['author', 'Made with the account of who left.', { owner: orgPlace, author: 'bob' }, 'end', 'author_left'],
  ['another', 'Made by another.', { owner: orgPlace, author: 'ada' }, 'keep', 'not_theirs'],
  [
    'other-org',
    'Of another organisation.',
    { owner: { scope: 'org', id: 'zeta' }, author: 'bob' },
    'keep',
    'elsewhere',
  ],
  ['for-org', 'Their own, for that organisation.', { owner: bobPlace, org: 'acme' }, 'end', 'member_left'],
  ['own', 'Their own, for no organisation.', { owner: bobPlace }, 'keep', 'elsewhere'],
  [
    'foreign',
    'Somebody else\u2019s.',
    { owner: { scope: 'user', id: 'ada' }, org: 'acme' },
    'keep',
    'not_theirs',
  ],
  ['deployment', 'The deployment\u2019s.', { owner: { scope: 'deployment', id: '' } }, 'keep', 'not_theirs'],
] as const)
  sweep(id, comment, [leaving, row], { action, rule })

const leave = ask('scope.leaveTarget')
const service = { kind: 'service', org: 'acme', user: 'bob' }
leave('service', 'The application says who left.', [service], { ...orgPlace, rule: 'on_behalf' })
leave('bound', 'One of that organisation too.', [{ ...service, callerOrg: 'acme' }], {
  ...orgPlace,
  rule: 'on_behalf',
})
leave.refuse('other-org', 'T22: none of another.', [{ ...service, callerOrg: 'zeta' }], 'not_allowed')
leave.refuse('human', 'No person does.', [{ ...service, kind: 'human' }], 'not_allowed')
leave.refuse('device', 'No device does.', [{ ...service, kind: 'device' }], 'not_allowed')
leave.refuse('nobody', 'Somebody left.', [{ ...service, user: '' }], 'claim_invalid')

const complete = ask('scope.complete')
const run = {
  tokenDevice: 'laptop',
  pin: 'laptop',
  known: true,
  watcher: true,
  payloadGood: true,
  running: true,
}
for (const [id, comment, facts, status, path, idempotent = false] of [
  ['good', 'T34: the device of the token.', run, 200, [step('device_bound')]],
  [
    'unbound',
    'T34: an old token names none.',
    { ...run, tokenDevice: '', bodyDevice: 'laptop' },
    200,
    [step('device_unbound')],
  ],
  [
    'spoof',
    'T34: the body cannot say another.',
    { ...run, bodyDevice: 'phone' },
    403,
    [step('device_mismatch')],
  ],
  [
    'other',
    'T34: not the device that the run is for.',
    { ...run, pin: 'phone' },
    403,
    [step('device_mismatch')],
  ],
  ['unknown', 'There is no such run.', { ...run, known: false, watcher: false }, 404, []],
  ['not-watcher', 'Not of the kind that devices run.', { ...run, watcher: false, pin: '' }, 409, []],
  ['payload', 'A bad payload.', { ...run, payloadGood: false }, 400, [step('device_bound')]],
  [
    'again',
    'It was finished before.',
    { ...run, running: false, payloadGood: false },
    200,
    [step('device_bound')],
    true,
  ],
] as const)
  complete(id, comment, [facts], { status, idempotent, path })

const access = ask('scope.access')
for (const [id, facts, told, mayCache = false] of [
  ['granted', { hasToken: true, status: 200 }, 'granted', true],
  ['needs-token', { hasToken: false, status: 404 }, 'needs_token', true],
  ['rejected', { hasToken: true, status: 401 }, 'token_rejected'],
  ['no-access', { hasToken: true, status: 403 }, 'token_rejected'],
  ['absent', { hasToken: true, status: 404 }, 'token_rejected', true],
  ['limited', { hasToken: true, status: 429 }, 'rate_limited'],
  ['limited-403', { hasToken: true, status: 403, remaining: '0' }, 'rate_limited'],
  ['limited-retry', { hasToken: false, status: 403, retryAfter: '60' }, 'rate_limited'],
  ['not-limited', { hasToken: true, status: 403, remaining: '17' }, 'token_rejected'],
  ['down', { hasToken: true, status: 503 }, 'transient'],
  ['silent', { hasToken: false, status: 0 }, 'transient'],
  ['odd', { hasToken: true, status: 418 }, 'unexpected'],
] as const)
  access(id, 'T31: what an answer says about reaching a repository.', [facts], { access: told, mayCache })

const minted = ask('scope.minted')
for (const [id, facts, told] of [
  ['made', { status: 201 }, 'made'],
  ['ok', { status: 200 }, 'unanswered'],
  ['deleted', { status: 404 }, 'deleted'],
  ['suspended', { status: 403 }, 'suspended'],
  ['limited', { status: 403, retryAfter: '60' }, 'unanswered'],
  ['not-covered', { status: 422 }, 'not_covered'],
  ['misconfigured', { status: 401 }, 'misconfigured'],
  ['down', { status: 500 }, 'unanswered'],
  ['silent', { status: 0 }, 'unanswered'],
] as const)
  minted(id, 'What came of asking for a token of an installation.', [facts], told)

const hears = ask('scope.hears')
const word = (change: string, at: number) => ({ change, at })
for (const [id, known, said, told] of [
  ['first', null, word('suspended', 1), true],
  ['later', word('suspended', 1), word('restored', 2), true],
  ['same', word('suspended', 1), word('restored', 1), true],
  ['older', word('restored', 2), word('suspended', 1), false],
  ['last', word('restored', 2), word('deleted', 1), true],
  ['after-the-last', word('deleted', 1), word('restored', 2), false],
] as const)
  hears(id, 'T28: whose word about an installation counts.', [known, said], told)

const knownAs = ask('scope.knownAs')
for (const [id, suspended, said, told] of [
  ['nothing', false, null, 'live'],
  ['listed', true, null, 'suspended'],
  ['said', false, word('suspended', 100_000), 'suspended'],
  ['a-minute', false, word('suspended', 40_000), 'suspended'],
  ['longer-ago', false, word('suspended', 39_999), 'live'],
  ['restored', true, word('restored', 100_000), 'live'],
  ['restored-before', true, word('restored', 99_999), 'suspended'],
  ['deleted', false, word('deleted', 0), 'gone'],
] as const)
  knownAs(id, 'T28: how an installation stands.', [{ suspended, at: 100_000 }, said], told)

const visible = ask('scope.visible')
visible('own', 'T33: one\u2019s own.', [{ org: 'acme', isPublic: false, isMember: true }, 'acme'], {
  visible: true,
  counts: true,
  path: [step('own', 'org')],
})
visible('public', 'T33: a public one, without numbers.', [{ org: 'acme', isPublic: true }, 'zeta'], {
  visible: true,
  counts: false,
  path: [step('is_public')],
})
visible(
  'people',
  'T33: people are never public.',
  [{ org: 'acme', isPublic: true, isMember: true }, 'zeta'],
  { visible: false, counts: false, path: [step('kind_is_private')] },
)

const install = ask('scope.chooseInstallation')
const facts = { ...bob, account: 'octo' }
const one = { id: '1', owner: orgPlace, account: 'Octo' }
install('one', 'The one that fits.', [facts, [one]], {
  outcome: 'one',
  index: 0,
  path: [step('one_installation', 'org')],
})
install('none', 'None of another organisation.', [facts, [{ ...one, owner: { scope: 'org', id: 'zeta' } }]], {
  outcome: 'none',
  path: [step('no_installation')],
})
install('ambiguous', 'T28: never a pick.', [{ ...facts, expected: '1' }, [one, { ...one, id: '2' }]], {
  outcome: 'ambiguous',
  path: [step('several_installations', 'org')],
})
install('mismatch', 'Not the one expected.', [{ ...facts, expected: '2' }, [one]], {
  outcome: 'mismatch',
  path: [step('other_installation', 'org')],
})
install('suspended', 'Suspended or blocked.', [facts, [{ ...one, suspended: true }]], {
  outcome: 'suspended',
  path: [step('suspended', 'org')],
})

const source = ask('scope.chooseTokenSource')
const good = { user: 'good', userAllowed: true, installed: true, mayWrite: true }
source('user', 'The person\u2019s.', [good], { source: 'user', reason: 'user_token' })
source('fallback', 'T29: every fallback has its reason.', [{ ...good, user: 'revoked' }], {
  source: 'installation',
  reason: 'user_revoked',
})
source('pinned', 'T29: pinned to the person, never the app.', [{ ...good, user: 'revoked', pin: 'user' }], {
  source: 'none',
  reason: 'user_revoked',
})
source.refuse('unknown', 'There is no such state.', [{ ...good, user: 'fine' }], 'claim_invalid')

const identity = ask('scope.stepIdentity')
const lost = { source: 'installation', reason: 'refresh_failed' }
identity(
  'downgrade',
  'T51: once, with one warning and a fresh installation.',
  [{ acts: 'user', warned: false, installation: 'old' }, lost, 'new'],
  {
    next: { acts: 'installation', warned: true, installation: 'new' },
    warn: true,
    persist: true,
    path: [step('refresh_failed'), step('downgraded')],
  },
)
identity(
  'without-installation',
  'T51: not before one was looked up.',
  [{ acts: 'user', warned: false, installation: 'old' }, lost],
  {
    next: { acts: 'user', warned: false, installation: 'old' },
    warn: false,
    persist: false,
    path: [step('refresh_failed'), step('needs_installation')],
  },
)
identity(
  'again',
  'T51: silent ever after.',
  [{ acts: 'installation', warned: true, installation: 'new' }, lost, 'newer'],
  {
    next: { acts: 'installation', warned: true, installation: 'new' },
    warn: false,
    persist: false,
    path: [step('downgraded_before')],
  },
)

const missing = ask('scope.missing')
missing('covered', 'B14: a wider scope covers what it holds.', ['github', ['repo'], ['public_repo']], [])
missing(
  'not-covered',
  'B14: not the other way.',
  ['github', ['public_repo'], ['repo', 'public_repo']],
  ['repo'],
)
missing(
  'level',
  'B14: write holds read.',
  ['github_app', ['contents:write'], ['contents:read', 'pull_requests:write']],
  ['pull_requests:write'],
)
missing('plain', 'B14: without a table only its own name.', ['plain', ['api'], ['read_api']], ['read_api'])

const explain = ask('scope.explain')
explain(
  'sentences',
  'A person reads why.',
  [[step('incomplete', 'user'), step('found', 'org')]],
  [
    'Your own connection lacks a part, so it is not used.',
    'Your organisation\u0027s connection is there, and is used.',
  ],
)
explain.refuse('unknown', 'There is no such rule.', [[step('because')]], 'claim_invalid')

export default document(
  'Whose credential: where it is written, read and ended, and by which rules.',
  ...[
    write,
    remove,
    leave,
    plan,
    resolve,
    gap,
    mutate,
    visible,
    sweep,
    complete,
    install,
    source,
    identity,
    access,
    minted,
    hears,
    knownAs,
    missing,
    explain,
  ].map(({ group }) => group),
)
