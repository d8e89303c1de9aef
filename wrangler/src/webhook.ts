import type { ProviderSettings, WebhookHeaders, WebhookNews } from 'latchkey'
import { installationOf } from './acting.ts'
import { webhookSecret, type App } from './app.ts'
import { bodyLimit } from './body.ts'
import { claimName } from './names.ts'
import { Refusal } from './refusal.ts'

/** More than any provider sends. */
const largestDelivery = 32 * 1_048_576

interface Delivery {
  /** The part of the body that can be read; nothing of one that is too large to be about a token. */
  readonly body: Uint8Array | undefined
  readonly event: string
  readonly id: string
}

/**
 * News from a provider: first the signature over the bytes as they came, then what they say. What the deliveries of a
 * provider that are of no concern here come to is the same as what those come to that were handled before: nothing.
 */
export async function webhook(app: App, provider: ProviderSettings, request: Request): Promise<Response> {
  const names = app.lk.webhook.headers(provider.profile)
  const secret = webhookSecret(app, provider)
  if (!names || secret === undefined) throw new Refusal('not_found')
  const now = Date.now()
  const { body, event, id } = await verified(app, provider, names, secret, request, now)
  if (body) {
    const challenge = provider.profile === 'slack' ? challengeOf(body) : undefined
    if (challenge !== undefined)
      return new Response(challenge, { headers: { 'content-type': 'text/plain; charset=utf-8' } })
    const delivery = { profile: provider.profile, event, id, body }
    await apply(app, provider, app.lk.webhook.read(delivery, { now }))
  }
  return new Response(null, { status: 204 })
}

async function verified(
  app: App,
  { profile }: ProviderSettings,
  names: WebhookHeaders,
  secret: string,
  request: Request,
  now: number,
): Promise<Delivery> {
  const { lk } = app
  const header = (name: string | undefined): string => (name && request.headers.get(name)) || ''
  const id = header(names.id)
  const stream = lk.webhook.begin(secret, { profile, timestamp: header(names.timestamp), id })
  const kept: Uint8Array[] = []
  let size = 0
  for await (const piece of request.body ?? []) {
    size += piece.length
    if (size > largestDelivery) throw new Refusal('too_large')
    lk.webhook.update(stream, piece)
    if (size <= bodyLimit) kept.push(piece)
  }
  if (!lk.webhook.finish(stream, header(names.signature), { now })) throw new Refusal('webhook_invalid')
  const body = size <= bodyLimit ? joined(kept, size) : undefined
  return { body, event: header(names.event), id }
}

/** Slack asks whether somebody is there before it sends anything, and wants its own word back. */
function challengeOf(body: Uint8Array): string | undefined {
  let asked: unknown
  try {
    asked = JSON.parse(new TextDecoder().decode(body))
  } catch {
    return undefined
  }
  if (typeof asked !== 'object' || asked === null) return undefined
  const { type, challenge } = asked as Readonly<Record<string, unknown>>
  if (type !== 'url_verification' || typeof challenge !== 'string') return undefined
  return /^[\w-]{1,255}$/.test(challenge) ? challenge : undefined
}

function joined(pieces: readonly Uint8Array[], size: number): Uint8Array {
  const bytes = new Uint8Array(size)
  let at = 0
  for (const piece of pieces) {
    bytes.set(piece, at)
    at += piece.length
  }
  return bytes
}

/**
 * An account's connections end wherever they are, under every provider of this profile: one person's authorization may
 * be kept under several names. Fails as a whole when any of it fails, so that the provider sends it again.
 */
async function apply(app: App, { profile }: ProviderSettings, news: WebhookNews): Promise<void> {
  const { change, reach, subjects, at, once } = news
  if (reach === 'installation') return await applyToInstallations(app, profile, news)
  if ((change !== 'revoked' && change !== 'deleted') || reach !== 'account') return
  const names = app.config.providers.filter((other) => other.profile === profile).map(({ name }) => name)
  const ended = await Promise.all(
    names.flatMap((provider) =>
      subjects.map(({ id: account }) =>
        app.env.ACCOUNT_CLAIM.getByName(claimName(app.config.baseUrl, provider, account)).end({
          provider,
          account,
          once,
          ...(at !== undefined && { at }),
        }),
      ),
    ),
  )
  const connections = ended.reduce((sum, count) => sum + count, 0)
  console.log(JSON.stringify({ event: 'webhook', profile, change, connections }))
}

/** What becomes of an installation is told to it, wherever a provider of this profile acts as an app. */
async function applyToInstallations(app: App, profile: string, news: WebhookNews): Promise<void> {
  const { change, subjects, at = Date.now(), once } = news
  const providers = app.config.providers.filter((other) => other.profile === profile && other.app)
  if (change === 'none' || change === 'revoked' || providers.length === 0) return
  await Promise.all(
    providers.flatMap(({ name }) =>
      subjects.map(({ id }) => installationOf(app, name, id).change({ change, at, until: once.until })),
    ),
  )
  console.log(JSON.stringify({ event: 'webhook', profile, change, installations: subjects.length }))
}
