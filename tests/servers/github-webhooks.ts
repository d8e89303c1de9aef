/** Deliveries as GitHub sends them to an app's webhook: signed over the exact bytes, repeatable, never retried. */
import { createHmac, randomInt, randomUUID } from 'node:crypto'

export interface WebhookTarget {
  readonly url: string
  readonly secret: string
}

export interface Delivery {
  /** The value of X-GitHub-Delivery; a redelivery has the same. */
  readonly id: string
  readonly event: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
  /** The status of the receiver's answer, one for each time it was sent; 0 when there was none. */
  readonly statuses: number[]
}

export interface Account {
  readonly id: number
  readonly login: string
}

const answerMs = 10_000
export const appId = 73_310

export const sign = (algorithm: 'sha1' | 'sha256', secret: string, body: string): string =>
  `${algorithm}=${createHmac(algorithm, secret).update(body).digest('hex')}`

export function makeDelivery(event: string, payload: object, secret: string): Delivery {
  const body = JSON.stringify(payload)
  const id = randomUUID()
  const headers = {
    accept: '*/*',
    'content-type': 'application/json',
    'user-agent': `GitHub-Hookshot/${id.slice(0, 7)}`,
    'x-github-delivery': id,
    'x-github-event': event,
    'x-github-hook-id': '411922001',
    'x-github-hook-installation-target-id': String(appId),
    'x-github-hook-installation-target-type': 'integration',
    'x-hub-signature': sign('sha1', secret, body),
    'x-hub-signature-256': sign('sha256', secret, body),
  }
  return { id, event, headers, body, statuses: [] }
}

export async function sendDelivery(delivery: Delivery, url: string): Promise<number> {
  let status = 0
  try {
    const response = await fetch(url, {
      method: 'POST',
      headers: delivery.headers,
      body: delivery.body,
      redirect: 'manual',
      signal: AbortSignal.timeout(answerMs),
    })
    status = response.status
    await response.body?.cancel()
  } catch {
    // The receiver is not there, or says nothing in time: GitHub notes it and goes on.
  }
  delivery.statuses.push(status)
  return status
}

export const nodeId = ({ id }: Account): string => Buffer.from(`04:User${id}`).toString('base64')

export function accountFields(account: Account, origin: string) {
  const { id, login } = account
  return {
    login,
    id,
    node_id: nodeId(account),
    avatar_url: `${origin}/avatars/u/${id}?v=4`,
    gravatar_id: '',
    url: `${origin}/users/${login}`,
    html_url: `${origin}/${login}`,
    type: 'User',
    site_admin: false,
  }
}

export const authorizationRevoked = (account: Account, origin: string) => ({
  action: 'revoked',
  sender: accountFields(account, origin),
})

export function installationDeleted(account: Account, origin: string) {
  const installation = randomInt(1_000_000, 100_000_000)
  const now = Math.floor(Date.now() / 1_000)
  return {
    action: 'deleted',
    installation: {
      id: installation,
      account: accountFields(account, origin),
      repository_selection: 'all',
      access_tokens_url: `${origin}/app/installations/${installation}/access_tokens`,
      repositories_url: `${origin}/installation/repositories`,
      html_url: `${origin}/settings/installations/${installation}`,
      app_id: appId,
      target_id: account.id,
      target_type: 'User',
      permissions: { contents: 'write', metadata: 'read', pull_requests: 'write' },
      events: ['push'],
      created_at: now - 86_400,
      updated_at: now,
      single_file_name: null,
    },
    repositories: [],
    sender: accountFields(account, origin),
  }
}
