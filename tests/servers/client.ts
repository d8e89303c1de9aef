/** A client that refreshes and believes nothing: what came over the wire, byte for byte, and how it ended. */
export interface Reply {
  readonly status: number
  readonly headers: Headers
  /** What arrived of the body, whole or not. */
  readonly text: string
  /** The connection ended before the answer did. */
  readonly broken: boolean
  readonly ms: number
}

export interface Credentials {
  readonly clientId: string
  readonly clientSecret: string
}

export async function post(
  url: string,
  fields: Readonly<Record<string, string>>,
  headers: Readonly<Record<string, string>> = {},
  signal: AbortSignal | null = null,
): Promise<Reply> {
  const began = performance.now()
  const reply = (status: number, answered: Headers, text: string, broken: boolean): Reply => ({
    status,
    headers: answered,
    text,
    broken,
    ms: performance.now() - began,
  })
  let response: Response
  try {
    response = await fetch(url, { method: 'POST', headers, body: new URLSearchParams(fields), signal })
  } catch {
    return reply(0, new Headers(), '', true)
  }
  const chunks: Uint8Array[] = []
  let broken = false
  try {
    for await (const chunk of response.body ?? []) chunks.push(chunk)
  } catch {
    broken = true
  }
  return reply(response.status, response.headers, Buffer.concat(chunks).toString(), broken)
}

export const fieldsOf = (reply: Reply): Record<string, string | number> =>
  reply.headers.get('content-type')?.includes('json')
    ? (JSON.parse(reply.text) as Record<string, string | number>)
    : Object.fromEntries(new URLSearchParams(reply.text))

export const refreshGitHub = (
  address: string,
  client: Credentials,
  token: string,
  signal?: AbortSignal,
): Promise<Reply> =>
  post(
    `${address}/login/oauth/access_token`,
    {
      client_id: client.clientId,
      client_secret: client.clientSecret,
      grant_type: 'refresh_token',
      refresh_token: token,
    },
    { accept: 'application/json' },
    signal,
  )

export const refreshOidc = (
  address: string,
  client: Credentials,
  token: string,
  signal?: AbortSignal,
): Promise<Reply> =>
  post(
    `${address}/token`,
    { grant_type: 'refresh_token', refresh_token: token },
    { authorization: `Basic ${btoa(`${client.clientId}:${client.clientSecret}`)}` },
    signal,
  )
