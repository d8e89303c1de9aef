/** Asks the engine every question of the golden vectors; the same text runs in Node, workerd and Chromium. */
import {
  type AdmissionPlan,
  type KeyRing,
  type Latchkey,
  LatchkeyError,
  publicCode,
  type State,
} from 'latchkey'
import type { Signer } from 'latchkey/sign'
import { skipBinding, type Verifier } from 'latchkey/verify'
import {
  canonical,
  type Document,
  type Outcome,
  outcomeOf,
  spelledOut,
  type Vector,
} from '../vectors/format.ts'

export interface Engines {
  readonly latchkey: Latchkey
  readonly signer: Signer
  readonly verifier: Verifier
}

export interface Report {
  readonly answers: readonly { readonly id: string; readonly outcome: Outcome }[]
  /** How many vectors the two smaller modules were asked too. */
  readonly signed: number
  readonly verified: number
  readonly failures: readonly string[]
}

// What a vector holds is the business of its operation; what is wrong there shows as a failure.
type Input = Readonly<Record<string, any>>
type Operation = (engines: Engines, input: Input) => unknown

const encoder = new TextEncoder()
const decoder = new TextDecoder()

const fromHex = (text: string): Uint8Array =>
  Uint8Array.from(text.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16))
const toHex = (bytes: Uint8Array): string =>
  Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('')
const bytesOf = (body: string | { hex: string }): Uint8Array =>
  typeof body === 'string' ? encoder.encode(body) : fromHex(body.hex)
const answerOf = ({ status, contentType, body }: Input) => ({ status, contentType, body: bytesOf(body) })
const kidsOf = (latchkey: Latchkey, ring: KeyRing): string[] =>
  latchkey.keys.publicJwks(ring).keys.map(({ kid }) => (kid as string).replace(/\.ed$/, ''))

function expectedOf({ expected, now }: Input): Input {
  const { binding, ...rest } = expected
  if (binding === undefined) return { ...rest, now: Number(now) }
  return { ...rest, now: Number(now), binding: binding === 'unchecked' ? skipBinding : fromHex(binding) }
}

/** Records are written in hexadecimal. */
const planned = (plan: AdmissionPlan): object =>
  plan.act === 'nothing' ? plan : { ...plan, session: toHex(plan.session), message: toHex(plan.message) }

/** Operations whose vectors hold their arguments as they are. */
const asWritten = (part: keyof Latchkey, names: readonly string[]): Record<string, Operation> =>
  Object.fromEntries(
    names.map((name) => [
      `${part}.${name}`,
      ({ latchkey }: Engines, { args }: Input) =>
        (latchkey[part] as unknown as Record<string, (...args: unknown[]) => unknown>)[name]!(...args),
    ]),
  )

const operations: Readonly<Record<string, Operation>> = {
  publicCode: (_, { code }) => publicCode(code),
  returnTo: ({ latchkey }, { text, base }) =>
    latchkey.returnTo(text, base === undefined ? undefined : { base }),

  'keys.parse': ({ latchkey }, { text }) => ({ kids: kidsOf(latchkey, latchkey.keys.parse(text)) }),
  'keys.generate': ({ latchkey }, { kid, entropy }) => latchkey.keys.generate(kid, fromHex(entropy)),
  'keys.publicJwks': ({ latchkey }, { ring }) => latchkey.keys.publicJwks(latchkey.keys.parse(ring)),

  'state.issue': ({ latchkey }, { ring, claims, now, entropy }) => {
    const { binding, ttlMs, ...rest } = claims
    const given = {
      ...rest,
      ...(binding === undefined ? {} : { binding: fromHex(binding) }),
      ...(ttlMs === undefined ? {} : { ttlMs: Number(ttlMs) }),
    }
    const context = { now: Number(now), entropy: fromHex(entropy) }
    return latchkey.state.issue(latchkey.keys.parse(ring), given, context)
  },
  'state.verify': ({ latchkey, verifier }, input) => {
    const { ring, jwks, token, expected } = input
    const known = expectedOf(input) as never
    // Only the verify-only module takes `skipBinding`.
    if (expected.binding === 'unchecked') return verifier.state.verify(jwks, token, known)
    return latchkey.state.verify(jwks ?? latchkey.keys.parse(ring), token, known)
  },
  'state.peek': ({ latchkey }, { token }) => latchkey.state.peek(token),
  'state.codeVerifier': ({ latchkey }, { ring, kid, nonce }) =>
    latchkey.state.codeVerifier(latchkey.keys.parse(ring), { kid, nonce } as State),

  'callback.plan': ({ latchkey }, { params, state, session }) =>
    latchkey.callback.plan({ params, state, session }),

  'seal.seal': ({ latchkey }, { ring, plain, context, entropy }) =>
    latchkey.seal.seal(latchkey.keys.parse(ring), fromHex(plain), context, { entropy: fromHex(entropy) }),
  'seal.open': ({ latchkey }, { ring, text, context }) =>
    toHex(latchkey.seal.open(latchkey.keys.parse(ring), text, context)),

  'principal.issue': ({ latchkey }, { ring, principal, now, ttlMs }) =>
    latchkey.principal.issue(latchkey.keys.parse(ring), principal, { now: Number(now), ttlMs }),
  'principal.verify': ({ latchkey }, { ring, token, now }) =>
    latchkey.principal.verify(latchkey.keys.parse(ring), token, { now: Number(now) }),

  'scope.writeTarget': ({ latchkey }, { subject, org, role }) =>
    latchkey.scope.writeTarget({ subject, org, role }),
  'scope.connectTarget': ({ latchkey }, { subject, org, role, requested }) =>
    latchkey.scope.connectTarget({ subject, org, role, requested }),
  'scope.eraseTarget': ({ latchkey }, { subject, kind, user }) =>
    latchkey.scope.eraseTarget({ subject, kind, user }),

  'capability.mint': ({ latchkey }, { ring, claims, now, entropy }) =>
    latchkey.capability.mint(latchkey.keys.parse(ring), claims, { now, entropy: fromHex(entropy) }),
  'capability.attenuate': ({ latchkey }, { text, narrowing }) =>
    latchkey.capability.attenuate(text, narrowing),
  'capability.verify': ({ latchkey }, { ring, text, expected }) =>
    latchkey.capability.verify(latchkey.keys.parse(ring), text, expected),
  'capability.redeem': ({ latchkey }, { claims, asked }) => latchkey.capability.redeem(claims, asked),
  'capability.revoke': ({ latchkey }, { epoch, now }) =>
    latchkey.capability.revoke(epoch, { now: Number(now) }),

  ...asWritten('scope', [
    ...['writePlan', 'deletePlan', 'readPlan', 'resolve', 'mayMutate', 'visible', 'chooseInstallation'],
    ...[
      'chooseTokenSource',
      'stepIdentity',
      'missing',
      'explain',
      'gap',
      'sweep',
      'complete',
      'access',
      'minted',
      'leaveTarget',
    ],
  ]),
  // JSON has no other way to say that there is none.
  'scope.hears': ({ latchkey }, { args: [known, said] }) =>
    latchkey.scope.hears((known ?? undefined) as never, said as never),
  'scope.knownAs': ({ latchkey }, { args: [listed, said] }) =>
    latchkey.scope.knownAs(listed as never, (said ?? undefined) as never),
  ...asWritten('repo', ['parse']),
  ...asWritten('upstream', ['check', 'redirect']),
  'upstream.lfsRight': ({ latchkey }, { body }) => latchkey.upstream.lfsRight(new TextEncoder().encode(body)),
  ...asWritten('guard', ['name', 'key']),

  'guard.isLoopbackHost': ({ latchkey }, { host }) => latchkey.guard.isLoopbackHost(host),
  'guard.request': ({ latchkey }, { facts }) => latchkey.guard.request(facts as never),
  'guard.outbound': ({ latchkey }, { url, dev, from, hop }) =>
    latchkey.guard.outbound(url, { dev, from, hop }),

  'exchange.read': ({ latchkey }, input) => {
    const { profile, now } = input
    const read = latchkey.exchange.read(answerOf(input), { now: Number(now), profile })
    const { accessToken, refreshToken, ...rest } = read
    return {
      ...rest,
      accessToken: decoder.decode(accessToken),
      ...(refreshToken === undefined ? {} : { refreshToken: decoder.decode(refreshToken) }),
    }
  },
  'refresh.classify': ({ latchkey }, { provider, answer, now, sentRefreshToken }) => {
    const given = 'failed' in answer ? answer : { ...answer, body: bytesOf(answer.body) }
    const { tokens, ...said } = latchkey.refresh.classify(provider, given, {
      now: Number(now),
      ...(sentRefreshToken === undefined ? {} : { sentRefreshToken: encoder.encode(sentRefreshToken) }),
    })
    if (tokens === undefined) return said
    const { accessToken, refreshToken, ...rest } = tokens
    return {
      ...said,
      tokens: {
        ...rest,
        accessToken: decoder.decode(accessToken),
        ...(refreshToken === undefined ? {} : { refreshToken: decoder.decode(refreshToken) }),
      },
    }
  },
  'account.read': ({ latchkey }, input) =>
    latchkey.account.read(answerOf(input), { profile: input['profile'] }),
  'introspection.doubt': ({ latchkey }, { answer }) => latchkey.introspection.doubt(answerOf(answer)),
  'disconnect.decide': ({ latchkey }, { answer }) =>
    latchkey.disconnect.decide(answer.kind === 'status' ? { kind: 'status', ...answerOf(answer) } : answer),

  'retention.setting': ({ latchkey }, { text, fallbackMs, maxMs }) => {
    let reason = text === undefined ? 'unset' : 'set'
    const ms = latchkey.retention.setting(text, fallbackMs, {
      ...(maxMs === undefined ? {} : { maxMs }),
      warn: (why) => (reason = why),
    })
    return { ms, reason }
  },
  'retention.reconnect': ({ latchkey }, { run, now, options }) =>
    latchkey.retention.reconnect(run, Number(now), options),
  'retention.stale': ({ latchkey }, { run, now, rules }) => latchkey.retention.stale(run, Number(now), rules),
  'retention.prune': ({ latchkey }, { run, now, windows }) =>
    latchkey.retention.prune(run, Number(now), windows),
  'retention.begin': ({ latchkey }, { asked }) => latchkey.retention.begin(asked),
  'retention.append': ({ latchkey }, { status, log, event }) => latchkey.retention.append(status, log, event),
  'retention.terminal': ({ latchkey }, { status, log, cause }) =>
    latchkey.retention.terminal(status, { ...log, lastSeq: Number(log.lastSeq) }, cause),
  'retention.recover': ({ latchkey }, { runs, wanted, now, rules }) =>
    latchkey.retention.recover(runs, wanted, Number(now), rules),
  'retention.keepNewest': ({ latchkey }, { entries, options }) =>
    latchkey.retention.keepNewest(entries, options),
  'retention.changed': ({ latchkey }, { refs }) => latchkey.retention.changed(refs),
  'retention.orphan': ({ latchkey }, { feed }) => latchkey.retention.orphan(feed),
  'retention.resumes': ({ latchkey }, { pausedFor, ended }) => latchkey.retention.resumes(pausedFor, ended),
  'retention.link': ({ latchkey }, { link, now }) => latchkey.retention.link(link, Number(now)),
  'retention.schedule': ({ latchkey }, { due, now }) => latchkey.retention.schedule(due, Number(now)),
  'retention.fingerprint': ({ latchkey }, { parts }) => latchkey.retention.fingerprint(parts),
  'retention.dedupe': ({ latchkey }, { facts, now, options }) =>
    latchkey.retention.dedupe(facts, Number(now), options),
  'retention.rateLimit': ({ latchkey }, { stored, works, now, rules }) =>
    latchkey.retention.rateLimit(stored, works, Number(now), rules),
  'retention.bucket': ({ latchkey }, { address }) => latchkey.retention.bucket(address),
  'retention.expiry': ({ latchkey }, { madeAt, ttlMs, now, options }) =>
    latchkey.retention.expiry(Number(madeAt), Number(ttlMs), Number(now), options),
  'retention.sweep': ({ latchkey }, { lanes, cursor, removed, now, options }) =>
    latchkey.retention.sweep(lanes, cursor, removed, Number(now), options),
  'retention.erase': ({ latchkey }, { outcomes }) => latchkey.retention.erase(outcomes),
  'admission.offer': ({ latchkey }, { repository, token }) => latchkey.admission.offer(repository, token),
  'admission.plan': ({ latchkey }, input) => {
    const { candidate, session, message, now } = input
    const [ofSession, ofMessage] = [session, message].map((record) => (record ? fromHex(record) : null))
    return planned(latchkey.admission.plan(candidate, ofSession!, ofMessage!, { now: Number(now) }))
  },
  'admission.drain': ({ latchkey }, { session, message, now }) =>
    planned(latchkey.admission.drain(fromHex(session), fromHex(message), { now })),
  'admission.settle': ({ latchkey }, { session, message, report, now }) =>
    planned(latchkey.admission.settle(fromHex(session), fromHex(message), report, { now })),
  redact: ({ latchkey }, { text }) => latchkey.redact(text),
  'webhook.headers': ({ latchkey }, { profile }) => latchkey.webhook.headers(profile),
  'webhook.verify': ({ latchkey }, { secret, signature, body, now, profile, timestamp, delivery: id }) => {
    const options = { profile, timestamp, id, now: Number(now) }
    return latchkey.webhook.verify(secret, signature, bytesOf(body), options)
  },
  'webhook.begin': ({ latchkey }, { secret, signature, pieces, now, profile, timestamp, delivery: id }) => {
    const stream = latchkey.webhook.begin(secret, { profile, timestamp, id })
    for (const piece of pieces) latchkey.webhook.update(stream, bytesOf(piece))
    return latchkey.webhook.finish(stream, signature, { now: Number(now) })
  },
  'webhook.read': ({ latchkey }, { profile, event, delivery: id, body, now }) =>
    latchkey.webhook.read({ profile, event, id, body: bytesOf(body) }, { now: Number(now) }),

  'config.check': ({ latchkey }, { vars }) => {
    const { keys, principalKeys, ...rest } = latchkey.config.check(vars)
    const kids = kidsOf(latchkey, keys)
    return { ...rest, kids, ...(principalKeys && { principalKids: kidsOf(latchkey, principalKeys) }) }
  },
}

/** What the verify-only module must answer alike: all that it can be asked. */
const verifierOperations: Readonly<Record<string, (verifier: Verifier, input: Input) => unknown>> = {
  'state.verify': (verifier, input) =>
    verifier.state.verify(input['jwks'], input['token'], expectedOf(input) as never),
  'state.peek': (verifier, { token }) => verifier.state.peek(token),
  returnTo: (verifier, { text, base }) => verifier.returnTo(text, base === undefined ? undefined : { base }),
}

export const operationNames: readonly string[] = Object.keys(operations)

function ask(question: () => unknown): Outcome {
  try {
    return { expect: question() }
  } catch (error) {
    if (!(error instanceof LatchkeyError)) return { error: `thrown: ${error}` }
    return { error: error.code, ...(error.at === undefined ? {} : { at: error.at }) }
  }
}

export function runAll(engines: Engines, documents: readonly Document[]): Report {
  const answers: { id: string; outcome: Outcome }[] = []
  const failures: string[] = []
  let signed = 0
  let verified = 0
  const compare = (vector: Vector, outcome: Outcome, where = ''): void => {
    const got = canonical(outcome)
    const wanted = canonical(outcomeOf(vector))
    if (got !== wanted)
      failures.push(`${vector.id}${where} (${vector.comment})\n  got    ${got}\n  wanted ${wanted}`)
  }
  for (const vector of documents.flatMap((document) => document.vectors)) {
    const input = spelledOut(vector) as Input
    const outcome = ask(() => operations[vector.op]!(engines, input))
    answers.push({ id: vector.id, outcome })
    compare(vector, outcome)
    const [engine = ''] = vector.op.split('.')
    if (Object.hasOwn(engines.signer, engine)) {
      const latchkey = engines.signer as Latchkey
      compare(
        vector,
        ask(() => operations[vector.op]!({ ...engines, latchkey }, input)),
        ' in the sign module',
      )
      signed += 1
    }
    const question = verifierOperations[vector.op]
    if (question === undefined || 'ring' in input) continue
    compare(
      vector,
      ask(() => question(engines.verifier, input)),
      ' in the verify-only module',
    )
    verified += 1
  }
  return { answers, failures, signed, verified }
}

/** Whether JSON that a parser may take or leave is taken, inside an answer that names an account. */
export function takes(latchkey: Latchkey, json: Uint8Array): boolean {
  const body = new Uint8Array([...encoder.encode('{"sub":"x","i":'), ...json, ...encoder.encode('}')])
  const outcome = ask(() =>
    latchkey.account.read({ status: 200, contentType: 'application/json', body }, { profile: 'generic' }),
  )
  const taken = canonical(outcome) === '{"expect":{"id":"x","label":"x"}}'
  if (!taken && canonical(outcome) !== '{"error":"account_unreadable"}') throw new Error(canonical(outcome))
  return taken
}

/**
 * What of JSONTestSuite's `i_` cases is taken: numbers of any size, because they stay text. Whatever is not UTF-8, has
 * half a surrogate pair or a byte order mark, or is nested too deeply, is refused.
 */
export const shouldTake = (name: string): boolean => name.startsWith('i_number_')
