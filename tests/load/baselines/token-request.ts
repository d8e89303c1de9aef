/** What every baseline shares: the HTTP interface, the token request, and nothing that makes it safe. */
export interface Pair {
  readonly accessToken: string
  readonly refreshToken: string
  readonly expiresAt: number
}

export type Verdict =
  { readonly pair: Pair } | { readonly error: 'temporarily_unavailable' | 'reconnect_required' }

export interface ProviderVars {
  readonly TOKEN_URL: string
  readonly CLIENT_ID: string
  readonly CLIENT_SECRET: string
  /** Exactly `basic`, or the credentials stand in the form. */
  readonly AUTH_STYLE: string
}

const timeoutMs = 10_000

/** One refresh, as an application writes it: 200 with a pair is good, a refusal in the body ends the connection. */
export async function refresh(vars: ProviderVars, refreshToken: string): Promise<Verdict> {
  const form = new URLSearchParams({ grant_type: 'refresh_token', refresh_token: refreshToken })
  const headers: Record<string, string> = { accept: 'application/json' }
  if (vars.AUTH_STYLE === 'basic') {
    headers['authorization'] = `Basic ${btoa(`${vars.CLIENT_ID}:${vars.CLIENT_SECRET}`)}`
  } else {
    form.set('client_id', vars.CLIENT_ID)
    form.set('client_secret', vars.CLIENT_SECRET)
  }
  try {
    const signal = AbortSignal.timeout(timeoutMs)
    const response = await fetch(vars.TOKEN_URL, { method: 'POST', headers, body: form, signal })
    if (response.status >= 500) return { error: 'temporarily_unavailable' }
    const fields: Readonly<Record<string, string | number | undefined>> = await response.json()
    const { access_token: accessToken, refresh_token: next = refreshToken, expires_in: seconds } = fields
    if (accessToken === undefined) return { error: 'reconnect_required' }
    const expiresAt = Date.now() + Number(seconds) * 1_000
    return { pair: { accessToken: String(accessToken), refreshToken: String(next), expiresAt } }
  } catch {
    return { error: 'temporarily_unavailable' }
  }
}

export const isFresh = ({ expiresAt }: Pair): boolean => expiresAt > Date.now()

interface Connections {
  seed(subject: string, pair: Pair): Promise<void>
  token(subject: string): Promise<Verdict>
}

/** The token route of the shipped Worker. Who calls is believed: nothing is verified. */
export async function serve(request: Request, connections: Connections): Promise<Response> {
  const subject = request.headers.get('x-subject') ?? ''
  const { pathname } = new URL(request.url)
  if (pathname === '/seed') {
    await connections.seed(subject, await request.json())
    return new Response()
  }
  if (pathname === '/healthz') return Response.json({ ok: true })
  await request.arrayBuffer()
  const verdict = await connections.token(subject)
  if ('error' in verdict)
    return Response.json(verdict, { status: verdict.error === 'reconnect_required' ? 409 : 503 })
  const { accessToken, expiresAt } = verdict.pair
  return Response.json({ accessToken, expiresAt })
}
