import { abi } from './abi.gen.ts'
import { LatchkeyError } from './errors.ts'
import { ringBytes } from './keys.ts'
import type { Module } from './module.ts'
import type {
  Candidate,
  Capabilities,
  CapabilityVerb,
  OwnerScope,
  Place,
  ReadFacts,
  Repo,
  RepoHost,
  RepoPlace,
  Rule,
  RulePath,
  ScopeFacts,
  ScopePlan,
  Scopes,
  UpstreamRight,
  Upstreams,
} from './scope-types.ts'

const { enums } = abi
type Enum = keyof typeof enums
type Name<E extends Enum> = Exclude<(typeof enums)[E][number], null>

/** A number that no enumeration has: the core refuses it. */
const unknown = 127

function numberOf(names: Enum, name: unknown): number {
  if (typeof name !== 'string') return unknown
  const number = (enums[names] as readonly (string | null)[]).indexOf(name)
  return number < 0 ? unknown : number
}
const nameOf = <E extends Enum>(names: E, number: number | undefined): Name<E> =>
  enums[names][number!] as Name<E>

const flag = (value: unknown): number => (value === true ? 1 : 0)
const said = (value: string | undefined): string => (value === undefined ? '' : value)
const numbers = (list: readonly number[]): string => String.fromCharCode(...list)
/** A whole number in digits; the core refuses anything else. */
const digits = (value: unknown): string =>
  typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 ? String(value) : '-'

function list<T>(value: readonly T[]): readonly T[] {
  if (!Array.isArray(value)) throw new TypeError('latchkey: expected an array')
  return value
}

function words(scopes: readonly string[]): string {
  if (!list(scopes).every((scope) => typeof scope === 'string')) {
    throw new TypeError('latchkey: expected a string')
  }
  return scopes.join(' ')
}

interface Answer {
  readonly numbers: readonly number[]
  readonly path: RulePath
  readonly texts: readonly string[]
}

// A byte order mark belongs to a name like any other character: without it, it would be another's.
const decoder = new TextDecoder('utf-8', { ignoreBOM: true })

function read(bytes: Uint8Array): Answer {
  const end = (at: number): number => at + 2 + (bytes[at]! | (bytes[at + 1]! << 8))
  const numbers: number[] = []
  const first = end(0)
  for (let i = 2; i < first; i += 1) numbers.push(bytes[i]!)
  const path: { rule: Rule; scope?: OwnerScope }[] = []
  const second = end(first)
  for (let i = first + 2; i < second; i += 2) {
    const scope = bytes[i + 1]!
    const rule = nameOf('rule', bytes[i])
    path.push(scope === 0 ? { rule } : { rule, scope: nameOf('scope', scope) })
  }
  const texts: string[] = []
  if (second === bytes.length) return { numbers, path, texts }
  // Decoded at once. As many characters as bytes: each text stands where its bytes do.
  const all = decoder.decode(bytes)
  for (let at = second; at < bytes.length; at = end(at)) {
    const from = at + 2
    texts.push(
      all.length === bytes.length ? all.slice(from, end(at)) : decoder.decode(bytes.subarray(from, end(at))),
    )
  }
  return { numbers, path, texts }
}

function ask(module: Module, name: string, small: readonly number[], texts: readonly string[] = []): Answer {
  try {
    const { at, length } = module.putList([numbers(small), ...texts])
    module.call(name, at, length, module.free)
    return read(module.replyBytes())
  } finally {
    module.wipe()
  }
}

const factTexts = ({ subject, org, role }: Partial<ScopeFacts>): string[] => [
  said(subject),
  said(org),
  said(role),
]

const usualOrder = ['user', 'org', 'workspace', 'deployment'] as const

function policyNumbers({ policy = {} }: ReadFacts): number[] {
  const order = list(policy.order ?? usualOrder)
  if (order.length > 4) throw new LatchkeyError('claim_invalid')
  return [
    ...[policy.personalOnly, policy.deployment, policy.pastRevoked].map(flag),
    requestedNumber(policy.only),
    ...[0, 1, 2, 3].map((i) => (i < order.length ? numberOf('scope', order[i]) : 0)),
  ]
}

const membershipNumber = ({ membership = 'known' }: { membership?: unknown }): number =>
  numberOf('membership', membership)

function candidateTexts(found: readonly Candidate[]): string[] {
  if (list(found).length > 16) throw new LatchkeyError('claim_invalid')
  return found.flatMap(({ scope, id, held, rejectedAt }) => [
    numbers([numberOf('scope', scope), numberOf('held', held), rejectedAt === undefined ? 0 : 1]),
    id,
    rejectedAt === undefined ? '0' : digits(rejectedAt),
  ])
}

const placeOf = (scope: number | undefined, id: string | undefined): Place => ({
  scope: nameOf('scope', scope),
  id: said(id),
})

function planOf({ numbers: [scope, rule, ...steps], path, texts: [id, ...ids] }: Answer): ScopePlan {
  return {
    target: { scope: nameOf('scope', scope) as 'org' | 'user', id: id!, rule: nameOf('rule', rule) },
    steps: ids.map((place, i) => ({
      action: nameOf('action', steps[2 * i]),
      ...placeOf(steps[2 * i + 1], place),
    })),
    path,
  }
}

const requestedNumber = (requested: unknown): number =>
  requested === undefined ? 0 : numberOf('scope', requested)
const statusOf = (hundreds: number | undefined, rest: number | undefined): number => hundreds! * 100 + rest!

export function scopes(m: Module): Scopes {
  return {
    writePlan(facts) {
      const parts = list(facts.parts)
      if (parts.length > 7) throw new LatchkeyError('claim_invalid')
      const bits = (of: 'required' | 'present'): number =>
        parts.reduce((sum, part, i) => sum | (flag(part[of]) << i), 0)
      const small = [requestedNumber(facts.requested), bits('required'), bits('present')]
      return planOf(ask(m, 'lk_scope_write_plan', small, factTexts(facts)))
    },
    deletePlan: (facts) =>
      planOf(ask(m, 'lk_scope_delete_plan', [requestedNumber(facts.requested)], factTexts(facts))),
    leaveTarget({ callerOrg, kind, org, user }) {
      const small = [numberOf('eraser', kind)]
      const answer = ask(m, 'lk_scope_leave_target', small, [said(callerOrg), org, user])
      const { numbers: got, texts } = answer
      return { ...placeOf(got[0], texts[0]), rule: nameOf('rule', got[1]) }
    },
    readPlan(facts) {
      const small = [membershipNumber(facts), ...policyNumbers(facts)]
      const answer = ask(m, 'lk_scope_read_plan', small, factTexts(facts))
      return { places: answer.texts.map((id, i) => placeOf(answer.numbers[i], id)), path: answer.path }
    },
    resolve(facts, found, { now }) {
      if (digits(now) === '-') throw new LatchkeyError('time_invalid')
      const small = [membershipNumber(facts), ...policyNumbers(facts)]
      const texts = [...factTexts(facts), digits(now), ...candidateTexts(found)]
      const { numbers: got, path, texts: ids } = ask(m, 'lk_scope_resolve', small, texts)
      return {
        outcome: nameOf('readOutcome', got[0]),
        ...(got[1] === 0 ? undefined : { place: placeOf(got[1], ids[0]) }),
        path,
      }
    },
    gap(facts, found) {
      const texts = [...factTexts(facts), ...candidateTexts(found)]
      const answer = ask(m, 'lk_scope_gap', [membershipNumber(facts)], texts)
      return { has: answer.numbers.map((scope) => nameOf('scope', scope)) }
    },
    mayMutate(mutation) {
      const { validator = 'pending', storage = 'pending' } = mutation
      const small = [
        numberOf('scope', mutation.requested),
        numberOf('verb', mutation.verb),
        membershipNumber(mutation),
        flag(mutation.device),
        flag(mutation.registered),
        flag(mutation.connected),
        flag(mutation.unread),
        numberOf('check', validator),
        numberOf('check', storage),
      ]
      const texts = [...factTexts(mutation), said(mutation.targetOrg), said(mutation.value)]
      const { numbers: got, path, texts: ids } = ask(m, 'lk_scope_may_mutate', small, texts)
      const ok = got[0] === 1
      return {
        ok,
        ...(ok ? undefined : { status: statusOf(got[2], got[3]) }),
        ...(got[1] === 0 ? undefined : { place: placeOf(got[1], ids[0]) }),
        path,
      }
    },
    visible({ org, isPublic, isMember }, callerOrg) {
      const answer = ask(m, 'lk_scope_visible', [flag(isPublic), flag(isMember)], [org, callerOrg])
      return { visible: answer.numbers[0] === 1, counts: answer.numbers[1] === 1, path: answer.path }
    },
    sweep({ subject, org }, { owner, org: usedIn, author }) {
      const texts = [subject, org, owner.id, said(usedIn), said(author)]
      const { numbers: got } = ask(m, 'lk_scope_sweep', [numberOf('scope', owner.scope)], texts)
      return { action: nameOf('sweep', got[0]), rule: nameOf('rule', got[1]) }
    },
    complete({ tokenDevice, bodyDevice, pin, known, watcher, payloadGood, running }) {
      const small = [known, watcher, payloadGood, running].map(flag)
      const texts = [tokenDevice, bodyDevice, pin].map(said)
      const { numbers: got, path } = ask(m, 'lk_scope_complete', small, texts)
      return { status: statusOf(got[0], got[1]), idempotent: got[2] === 1, path }
    },
    chooseInstallation(facts, all) {
      if (list(all).length > 64) throw new LatchkeyError('claim_invalid')
      const texts = [...factTexts(facts), facts.account, said(facts.expected)]
      for (const { id, owner, account, suspended } of all) {
        texts.push(numbers([numberOf('scope', owner.scope), flag(suspended)]), owner.id, id, account)
      }
      const answer = ask(m, 'lk_scope_choose_installation', [membershipNumber(facts)], texts)
      const outcome = nameOf('chosen', answer.numbers[0])
      return {
        outcome,
        ...(outcome === 'one' ? { index: answer.numbers[1]! } : undefined),
        path: answer.path,
      }
    },
    chooseTokenSource({ pin = 'none', user, userAllowed, installed, lite, mayWrite }) {
      const flags = [userAllowed, installed, lite, mayWrite].map(flag)
      const small = [numberOf('pin', pin), numberOf('userToken', user), ...flags]
      const { numbers: got } = ask(m, 'lk_scope_choose_token_source', small)
      return { source: nameOf('tokenSource', got[0]), reason: nameOf('rule', got[1]) }
    },
    stepIdentity(identity, choice, fresh) {
      const small = [
        numberOf('tokenSource', identity.acts),
        flag(identity.warned),
        numberOf('tokenSource', choice.source),
        numberOf('rule', choice.reason),
      ]
      const texts = [said(identity.installation), said(fresh)]
      const { numbers: got, path, texts: ids } = ask(m, 'lk_scope_step_identity', small, texts)
      const acts = nameOf('tokenSource', got[0]) as 'user' | 'installation'
      const installation = ids[0] === '' ? undefined : { installation: ids[0]! }
      return {
        next: { acts, warned: got[1] === 1, ...installation },
        warn: got[2] === 1,
        persist: got[3] === 1,
        path,
      }
    },
    hears(known, said) {
      const small = [
        numberOf('word', known === undefined ? 'none' : known.change),
        numberOf('word', said.change),
      ]
      return (
        ask(m, 'lk_scope_hears', small, [digits(known === undefined ? 0 : known.at), digits(said.at)])
          .numbers[0] === 1
      )
    },
    knownAs({ suspended, at }, said) {
      const small = [flag(suspended), numberOf('word', said === undefined ? 'none' : said.change)]
      const answer = ask(m, 'lk_scope_known_as', small, [
        digits(at),
        digits(said === undefined ? 0 : said.at),
      ])
      return nameOf('knownAs', answer.numbers[0])
    },
    minted({ status, remaining, retryAfter }) {
      const texts = [digits(status), said(remaining), said(retryAfter)]
      return nameOf('minted', ask(m, 'lk_scope_minted', [1], texts).numbers[0])
    },
    access({ hasToken, status, remaining, retryAfter }) {
      const texts = [digits(status), said(remaining), said(retryAfter)]
      const { numbers: got } = ask(m, 'lk_scope_access', [flag(hasToken)], texts)
      return { access: nameOf('access', got[0]), mayCache: got[1] === 1 }
    },
    missing(family, granted, required) {
      const texts = [words(granted), words(required)]
      const [text] = ask(m, 'lk_scope_missing', [numberOf('scopeFamily', family)], texts).texts
      return text === '' ? [] : text!.split(' ')
    },
    explain: (path) =>
      list(path).map(({ rule, scope }) => {
        const small = [numberOf('rule', rule), scope === undefined ? 0 : numberOf('scope', scope)]
        return ask(m, 'lk_scope_explain', small).texts[0]!
      }),
    checkUpstream: (repo, request) => checkUpstream(m, 'lk_scope_check_upstream', repo, request),
  }
}

export function parseRepo(m: Module, text: string, hosts: readonly RepoHost[] | undefined): Repo {
  if (typeof text !== 'string') throw new LatchkeyError('repo_invalid')
  if (hosts !== undefined && list(hosts).length > 16) throw new LatchkeyError('repo_invalid')
  const texts = [text]
  for (const { provider, host, base, plain } of hosts ?? []) {
    texts.push(numbers([numberOf('repoProvider', provider), flag(plain)]), host, said(base))
  }
  try {
    const { numbers: got, texts: parts } = ask(m, 'lk_repo_parse', [flag(hosts === undefined)], texts)
    const [host, base, owner, name, cloneUrl, user] = parts
    return {
      provider: nameOf('repoProvider', got[0]),
      host: host!,
      owner: owner!,
      name: name!,
      cloneUrl: cloneUrl!,
      user: user!,
      ...(base === '' ? undefined : { base: base! }),
      ...(got[1] === 1 ? { plain: true } : undefined),
    }
  } catch (error) {
    // What cannot even be passed on refers to nothing.
    throw asRefusal(error, 'repo_invalid')
  }
}

const repoNumbers = ({ provider, plain }: RepoPlace): number[] => [
  numberOf('repoProvider', provider),
  flag(plain),
]
const repoTexts = ({ host, base, owner, name }: RepoPlace): string[] => [host, said(base), owner, name]

function checkUpstream(
  m: Module,
  name: string,
  repo: RepoPlace,
  { method, url }: { method: string; url: string },
): UpstreamRight {
  try {
    const texts = [...repoTexts(repo), method, url]
    return nameOf('right', ask(m, name, repoNumbers(repo), texts).numbers[0])
  } catch (error) {
    throw asRefusal(error, 'upstream_url_invalid')
  }
}

export function upstreams(m: Module): Upstreams {
  return {
    check: (repo, request) => checkUpstream(m, 'lk_upstream_check', repo, request),
    redirect(repo, { method, from, to, hop }) {
      const step = Number.isInteger(hop) && hop > 0 && hop < unknown ? hop : unknown
      try {
        const texts = [...repoTexts(repo), method, from, to]
        const small = [...repoNumbers(repo), step]
        return nameOf('right', ask(m, 'lk_upstream_redirect', small, texts).numbers[0])
      } catch (error) {
        throw asRefusal(error, 'upstream_url_invalid')
      }
    },
    lfsRight(body) {
      try {
        const at = putOptional(m, body)
        m.call('lk_upstream_lfs_right', at, body.length, m.free)
        return m.replyFlag() ? 'fetch' : 'push'
      } catch (error) {
        if (error instanceof LatchkeyError) return 'push'
        throw error
      } finally {
        m.wipe()
      }
    },
  }
}

const putOptional = (m: Module, bytes: Uint8Array): number => {
  const at = m.putBytes(bytes)
  return bytes.length === 0 ? 0 : at
}

/** Text that cannot cross, or that is too long, is refused like any other text of that kind. */
function asRefusal(
  error: unknown,
  code: 'repo_invalid' | 'upstream_url_invalid' | 'capability_invalid' | 'name_invalid',
): unknown {
  const crossed =
    error instanceof LatchkeyError && error.code !== 'utf8_invalid' && error.code !== 'output_too_small'
  return crossed || !(error instanceof LatchkeyError) ? error : new LatchkeyError(code)
}

export function checkName(m: Module, text: string): string {
  if (typeof text !== 'string') throw new LatchkeyError('name_invalid')
  try {
    ask(m, 'lk_guard_name', [], [text])
    return text
  } catch (error) {
    throw asRefusal(error, 'name_invalid')
  }
}

export function storageKey(m: Module, parts: readonly string[]): string {
  if (list(parts).length > 16) throw new LatchkeyError('claim_invalid')
  return ask(m, 'lk_guard_key', [], parts).texts[0]!
}

const verbs = ['fetch', 'push', 'read', 'write'] as const
const purposes = [undefined, 'git', 'api'] as const
const kinds = [undefined, 'user', 'org'] as const
const enders = [undefined, 'connection', 'session'] as const

/** A place in a list of names, or a number that the core refuses. */
const indexOr = (names: readonly unknown[], name: unknown): number =>
  typeof name === 'string' && names.includes(name) ? names.indexOf(name) : unknown

function verbBits(can: readonly CapabilityVerb[]): number {
  let bits = 0
  for (const verb of list(can)) {
    const bit = verbs.indexOf(verb)
    if (bit < 0) return unknown
    bits |= 1 << bit
  }
  return bits
}

export function capabilities(m: Module): Capabilities {
  return {
    mint(ring, claims, { now, entropy }) {
      const keys = ringBytes(ring)
      const { owner } = claims
      const small = [indexOr(purposes, claims.purpose), indexOr(kinds, owner.kind)]
      const list = [
        numbers([...small, verbBits(claims.can)]),
        claims.subject,
        owner.id,
        claims.provider,
        said(claims.repo),
        said(claims.container),
        digits(claims.epoch),
        digits(claims.expiresAt),
      ]
      try {
        const keysAt = putOptional(m, keys)
        const { at, length } = m.putList(list)
        const random = putOptional(m, entropy)
        m.call('lk_capability_mint', keysAt, keys.length, at, length, random, entropy.length, now, m.free)
        return m.replyText()
      } finally {
        m.wipe()
      }
    },
    attenuate(text, { repo, container, can, expiresAt }) {
      if (typeof text !== 'string') throw new LatchkeyError('capability_invalid')
      const bits = can === undefined ? 0 : verbBits(can) || unknown
      const end = expiresAt === undefined ? '0' : digits(expiresAt)
      const texts = [text, said(repo), said(container), end]
      try {
        return ask(m, 'lk_capability_attenuate', [flag(expiresAt !== undefined), bits], texts).texts[0]!
      } catch (error) {
        throw asRefusal(error, 'capability_invalid')
      }
    },
    verify(ring, text, { now, container, epoch = 0, purpose, provider }) {
      const keys = ringBytes(ring)
      if (typeof text !== 'string') throw new LatchkeyError('capability_invalid')
      try {
        const keysAt = putOptional(m, keys)
        const { at, length } = m.putList([
          numbers([purpose === undefined ? 0 : indexOr(purposes, purpose)]),
          text,
          said(container),
          digits(epoch),
          said(provider),
        ])
        m.call('lk_capability_verify', keysAt, keys.length, at, length, now, m.free)
        const { numbers: got, texts } = read(m.replyBytes())
        const [subject, id, as, repo, bound, times] = texts
        const [use, kind, can, first, second] = got
        return {
          purpose: purposes[use!]!,
          subject: subject!,
          owner: { kind: kinds[kind!]!, id: id! },
          provider: as!,
          ...(repo === '' ? undefined : { repo: repo! }),
          ...(bound === '' ? undefined : { container: bound! }),
          can: verbs.filter((_, i) => ((can! >> i) & 1) === 1),
          epoch: Number(times!.slice(0, first)),
          issuedAt: Number(times!.slice(first, second)),
          expiresAt: Number(times!.slice(second)),
        }
      } catch (error) {
        throw asRefusal(error, 'capability_invalid')
      } finally {
        m.wipe()
      }
    },
    redeem({ purpose, provider, repo, can }, asked) {
      const small = [indexOr(purposes, purpose), verbBits(can)]
      try {
        const texts = [provider, said(repo), asked.own, asked.repo]
        return enders[ask(m, 'lk_capability_redeem', small, texts).numbers[0]!]!
      } catch (error) {
        throw asRefusal(error, 'capability_invalid')
      }
    },
    revoke(epoch, { now }) {
      const {
        numbers: [end],
        texts: [found],
      } = ask(m, 'lk_capability_revoke', [], [digits(epoch), digits(now)])
      return { epoch: Number(found!.slice(0, end)), keepUntil: Number(found!.slice(end)) }
    },
  }
}
