/** The configuration that the Worker is tested with. The keys are test data and protect nothing. */

export const baseUrl = 'http://127.0.0.1:8787'
export const clientId = 'latchkey-test'
export const clientSecret = 'test: a secret+with/odd characters%'
/** GitHub's consist of letters and digits, and its API takes them as they are. */
export const appSecret = '0123456789abcdef0123456789abcdef01234567'
export const webhookSecret = 'test: what a provider signs its deliveries with'
export const keys = 'test-1:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8='
export const principalKeys = 'caller-1:HxscHRobGBkWFxQVEhMQEQ4PDA0KCwgJBgcEBQIDAAE='

/** Ways in which a token endpoint goes wrong; each is a provider whose name it is. */
export const faults = [
  'refused',
  'failing',
  'html',
  'huge',
  'elsewhere',
  'see-other',
  'loop',
  'empty',
] as const

/** The apps server, and the private key of an app in two forms. */
export interface AppServer {
  readonly github: string
  readonly appKeys: readonly string[]
}

export function testVariables(
  issuer: string,
  tokenServer: string,
  { github: githubApps, appKeys }: AppServer = { github: tokenServer, appKeys: [] },
): Record<string, string> {
  const provider = {
    profile: 'generic',
    clientId,
    authorizationUrl: `${issuer}/auth`,
    tokenUrl: `${tokenServer}/token/counted`,
    revocationUrl: `${issuer}/token/revocation`,
    userInfoUrl: `${issuer}/me`,
    scopes: ['openid', 'profile'],
    issuer,
  }
  const providers: Record<string, object> = {
    good: { ...provider, title: 'Good', gitUrl: `${tokenServer}/git` },
    posted: { ...provider, responseMode: 'form_post' },
    moved: { ...provider, tokenUrl: `${tokenServer}/token/moved` },
    nobody: { ...provider, userInfoUrl: `${tokenServer}/nobody` },
    stubborn: { ...provider, revocationUrl: `${tokenServer}/revocation/failing` },
  }
  // Says nothing about whose account it is, so that one account may be connected by many.
  const { userInfoUrl: _, ...anonymous } = provider
  providers['quiet'] = { ...anonymous, gitUrl: `${tokenServer}/git` }
  providers['eager'] = { ...provider, tokenUrl: `${issuer}/token`, refresh: { proactive: true } }
  // A refresh token that dies unused after two hours, and none at all.
  providers['lapsing'] = {
    ...provider,
    tokenUrl: `${tokenServer}/token/lapsing`,
    refresh: { idleSeconds: 7_200 },
  }
  providers['short'] = { ...provider, tokenUrl: `${tokenServer}/token/short` }
  // GitHub's answers, which the authorization server behind does not give by itself.
  const github = {
    ...provider,
    profile: 'github-app',
    tokenUrl: `${tokenServer}/token/client-in-body`,
    userInfoUrl: `${tokenServer}/github-user`,
  }
  providers['hooked'] = github
  providers['hooked-too'] = github
  // An app that acts as itself too, under two names.
  const app = {
    profile: 'github-app',
    clientId,
    authorizationUrl: `${githubApps}/login/oauth/authorize`,
    tokenUrl: `${githubApps}/login/oauth/access_token`,
    revocationUrl: `${githubApps}/applications/{client_id}/token`,
    userInfoUrl: `${githubApps}/user`,
    appUrl: githubApps,
    gitUrl: `${tokenServer}/git`,
  }
  providers['app'] = app
  providers['app-too'] = app
  providers['slacked'] = { ...provider, profile: 'slack' }
  for (const fault of faults) providers[fault] = { ...provider, tokenUrl: `${tokenServer}/token/${fault}` }
  const secrets = Object.keys(providers).map((name) => [
    `${name.toUpperCase().replaceAll('-', '_')}_CLIENT_SECRET`,
    name.startsWith('app') ? appSecret : clientSecret,
  ])
  return {
    HOOKED_WEBHOOK_SECRET: webhookSecret,
    APP_WEBHOOK_SECRET: webhookSecret,
    ...(appKeys.length > 0 && { APP_APP_KEY: appKeys[0], APP_TOO_APP_KEY: appKeys[1] }),
    SLACKED_WEBHOOK_SECRET: webhookSecret,
    LATCHKEY_DEV: '1',
    LATCHKEY_KEYS: keys,
    LATCHKEY_PRINCIPAL_KEY: principalKeys,
    LATCHKEY_PROVIDERS: JSON.stringify(providers),
    PUBLIC_BASE_URL: baseUrl,
    ENABLE_CONNECT: 'true',
    ...(Object.fromEntries(secrets) as Record<string, string>),
  }
}
