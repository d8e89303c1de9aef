/** Who acts at a repository: the person, or the app where it is installed. The core decides; here it is told what there is. */
import type {
  Identity,
  IdentityStep,
  Place,
  ProviderSettings,
  Repo,
  Rule,
  RulePath,
  TokenSourceChoice,
  TokenSourceFacts,
} from 'latchkey'
import type { TokenResult } from 'latchkey/connection'
import type { App } from './app.ts'
import type { Minted } from './app-api.ts'
import { logFailure } from './failure.ts'
import type { Seen } from './installed.ts'
import { installationName, vaultName } from './names.ts'
import { Refusal } from './refusal.ts'
import type { ConnectionStatus } from './vault-types.ts'

type Standing = TokenSourceFacts['user']
export type Pin = 'user' | 'installation'

export interface Acting {
  readonly source: TokenSourceChoice['source']
  /** Always said; only `user_token` is no fallback. */
  readonly reason: Rule
  readonly installation?: string
  /** Whose knowledge of the installation it is. */
  readonly place?: Place
  readonly path: RulePath
}

/** Who is asking, for the repositories of which account. */
export interface ActingFacts {
  readonly subject: string
  readonly org?: string
  readonly account: string
}

/** What an answer says of the person's own token; undefined: not yet known, which is no reason for another's. */
export function standingOf(answer: TokenResult | undefined): Standing | undefined {
  switch (answer?.outcome) {
    case undefined:
      return 'none'
    case 'ok':
      return 'good'
    case 'not_connected':
      return answer.cause === undefined ? 'none' : 'revoked'
    case 'revoked':
      return 'revoked'
    case 'reconnect_required':
      return 'refresh_failed'
    case 'corrupt':
      return 'unreadable'
    case 'temporarily_unavailable':
      return undefined
  }
}

/** The same of what a vault says without giving a token. */
export function standingAs(status: ConnectionStatus['status'] | undefined): Standing {
  switch (status) {
    case undefined:
    case 'not_connected':
      return 'none'
    case 'connected':
    case 'refreshing':
      return 'good'
    case 'revoked':
    case 'disconnected':
      return 'revoked'
    case 'reconnect_required':
      return 'refresh_failed'
    case 'corrupt':
      return 'unreadable'
  }
}

interface Known extends Seen {
  readonly owner: Place
}

/** What each place knows of the account's installations, corrected by what the provider has said since. */
async function look(
  app: App,
  { name: provider }: ProviderSettings,
  places: readonly Place[],
  account: string,
): Promise<Known[] | undefined> {
  const { env, config } = app
  try {
    const found = await Promise.all(
      places
        .flatMap((owner) => {
          const { scope: kind } = owner
          // The deployment's own token lies in no vault.
          return kind === 'user' || kind === 'org' ? [{ owner, kind }] : []
        })
        .map(async ({ owner, kind }) => {
          const vault = env.VAULT.getByName(
            vaultName(config.baseUrl, { owner: { kind, id: owner.id }, provider }),
          )
          return (await vault.installations(account))?.map((one): Known => ({ ...one, owner }))
        }),
    )
    if (found.includes(undefined)) return undefined
    const seen = await Promise.all(
      found
        .flatMap((all) => all ?? [])
        .map(async (one): Promise<Known[]> => {
          const word = await installationOf(app, provider, one.id).word()
          const known = app.lk.scope.knownAs(one, word ?? undefined)
          return known === 'gone' ? [] : [{ ...one, suspended: known === 'suspended' }]
        }),
    )
    return seen.flat()
  } catch (error) {
    // A vault that does not answer is never taken for an empty one.
    logFailure(error)
    return undefined
  }
}

/** T28 T29: the person's token or the app's, with the reason, and never one of several installations. */
export async function actingAt(
  app: App,
  provider: ProviderSettings,
  places: readonly Place[],
  facts: ActingFacts,
  user: Standing,
  pin?: Pin,
): Promise<Acting> {
  const { scope } = app.lk
  const seen = provider.app ? await look(app, provider, places, facts.account) : []
  const choice = scope.chooseInstallation({ ...facts, ...(!seen && { membership: 'failed' }) }, seen ?? [])
  const one = choice.index === undefined ? undefined : seen?.[choice.index]
  const { source, reason } = scope.chooseTokenSource({
    ...(pin && { pin }),
    user,
    userAllowed: true,
    installed: choice.outcome === 'one',
    mayWrite: one?.writes ?? false,
  })
  // Where nobody may act, and it is not known whether the app might, it is not known at all.
  if (source === 'none' && choice.outcome === 'lookup_failed')
    throw new Refusal('temporarily_unavailable', { headers: { 'retry-after': '1' } })
  return {
    source,
    reason,
    ...(one && { installation: one.id, place: one.owner }),
    path: [...choice.path, { rule: reason }],
  }
}

/** Where it is kept that the app acts for somebody. */
export interface Keeper {
  identity(): Promise<Identity>
  /** True where it did not before. */
  actAs(installation: string): Promise<boolean>
}

/** T51: who acts for a capability or in a session, once it has become the app, stays the app: where it is installed now. */
export async function identify(
  app: App,
  { name: provider }: ProviderSettings,
  keeper: Keeper,
  { source, reason, installation }: Acting,
): Promise<IdentityStep> {
  const { installation: former, ...before } = await keeper.identity()
  const identity = { ...before, ...(former !== undefined && former === installation && { installation }) }
  const step = app.lk.scope.stepIdentity(identity, { source, reason }, installation)
  if (step.persist && step.next.installation !== undefined) {
    const isFirst = await keeper.actAs(step.next.installation)
    if (step.warn && isFirst) console.warn(JSON.stringify({ event: 'acts_as_app', provider, reason }))
  }
  return step
}

/** The app's token, where it is known to be installed. */
export function appToken(
  app: App,
  provider: ProviderSettings,
  { installation, path }: Acting,
  { name }: Repo,
  minValidityMs: number,
) {
  if (installation !== undefined) return installationToken(app, provider, installation, name, minValidityMs)
  if (path.some(({ rule }) => rule === 'lookup_failed'))
    throw new Refusal('temporarily_unavailable', { headers: { 'retry-after': '1' } })
  throw new Refusal('not_connected')
}

export const installationOf = ({ env, config }: App, provider: string, id: string) =>
  env.INSTALLATION.getByName(installationName(config.baseUrl, { provider, id }))

/** A token of the app's for one repository. Several installations are told outside as none, like one that is suspended. */
async function installationToken(
  app: App,
  { name }: ProviderSettings,
  id: string,
  repository: string,
  minValidityMs: number,
): Promise<Extract<Minted, { outcome: 'ok' }>> {
  const minted = await installationOf(app, name, id).token(repository, minValidityMs)
  switch (minted.outcome) {
    case 'ok':
      return minted
    case 'deleted':
    case 'suspended':
      throw new Refusal('not_connected')
    case 'not_covered':
      throw new Refusal('upstream_refused', { status: 404 })
    case 'misconfigured':
      throw new Refusal('misconfigured')
    case 'unanswered':
      throw new Refusal('temporarily_unavailable', { headers: { 'retry-after': '1' } })
  }
}
