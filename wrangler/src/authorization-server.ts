/** The authorization server as the refresh protocol sees it. */
import type { ProviderSettings } from 'latchkey'
import type { Provider } from 'latchkey/connection'
import { redirectUri, type App } from './app.ts'
import { introspectToken, refreshTokens, revokeToken } from './oauth.ts'

export const authorizationServer = (app: App, provider: ProviderSettings): Provider => ({
  async refresh(token, { signal }) {
    const answer = await refreshTokens(app, provider, token, redirectUri(app, provider), signal)
    const { lk } = app
    const classified = lk.refresh.classify(provider, answer, { now: Date.now(), sentRefreshToken: token })
    if (classified.class === 'unparsed' && 'body' in answer) return { ...classified, raw: answer.body }
    if ('body' in answer) answer.body.fill(0)
    if (!classified.introspectable) return classified
    const said = await introspectToken(app, provider, token, signal)
    return said === undefined ? classified : { ...classified, doubt: lk.introspection.doubt(said) }
  },
  async revoke(token, _kind, { signal }) {
    const answer = await revokeToken(app, provider, token, signal)
    const { revoked, reason } = app.lk.disconnect.decide(answer)
    return revoked || reason === undefined ? 'done' : reason
  },
})
