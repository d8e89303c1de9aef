/** An authorization-code flow without a person: the provider consents by itself, this follows its redirects. */
import { createHash, randomBytes } from 'node:crypto'

export interface Code {
  readonly code: string
  readonly verifier: string
}

const stepLimit = 10

/**
 * Follows the authorization request to its end; `parameters` are added to those every request has. The same
 * `cookies` again are the same browser again.
 */
export async function obtainCode(
  authorizationUrl: string,
  redirectUri: string,
  parameters: Readonly<Record<string, string>>,
  cookies = new Map<string, string>(),
): Promise<Code> {
  const verifier = randomBytes(32).toString('base64url')
  const state = randomBytes(16).toString('base64url')
  const query = new URLSearchParams({
    ...parameters,
    response_type: 'code',
    redirect_uri: redirectUri,
    state,
    code_challenge: createHash('sha256').update(verifier).digest('base64url'),
    code_challenge_method: 'S256',
  })
  let url = new URL(`${authorizationUrl}?${query}`)
  for (let step = 0; step < stepLimit; step += 1) {
    const cookie = [...cookies].map(([name, value]) => `${name}=${value}`).join('; ')
    const response = await fetch(url, { headers: { cookie }, redirect: 'manual' })
    await response.body?.cancel()
    for (const line of response.headers.getSetCookie()) {
      const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(line) ?? []
      cookies.set(name, value)
    }
    const location = response.headers.get('location')
    if (location === null) throw new Error(`no way on from ${url.pathname}: ${response.status}`)
    url = new URL(location, url)
    if (url.href.startsWith(redirectUri)) {
      const code = url.searchParams.get('code')
      if (code === null || url.searchParams.get('state') !== state) throw new Error(`no code: ${url.search}`)
      return { code, verifier }
    }
  }
  throw new Error('the authorization server sends in circles')
}
