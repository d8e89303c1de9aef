/** The part of oidc-provider that is used here. */
declare module 'oidc-provider' {
  import type { IncomingMessage, ServerResponse } from 'node:http'

  export interface Grant {
    addOIDCScope(scope: string): void
    save(): Promise<string>
  }

  export interface Context {
    readonly req: IncomingMessage
    readonly body?: unknown
    readonly oidc: {
      readonly provider: Provider
      readonly client: { readonly clientId: string }
      readonly params?: Readonly<Record<string, unknown>>
      readonly session: { readonly accountId: string; grantIdFor(clientId: string): string | undefined }
      readonly entities: { readonly Grant?: { readonly jti: string; readonly accountId: string } }
    }
  }

  interface Events {
    'grant.success': [context: Context]
    'grant.error': [context: Context, error: Error & { readonly error_detail?: string }]
    'grant.revoked': [context: Context, grantId: string]
    server_error: [context: Context, error: Error]
  }

  export default class Provider {
    constructor(issuer: string, configuration: Readonly<Record<string, unknown>>)
    callback(): (request: IncomingMessage, response: ServerResponse) => void
    on<Name extends keyof Events>(name: Name, listener: (...parameters: Events[Name]) => void): this
    interactionDetails(
      request: IncomingMessage,
      response: ServerResponse,
    ): Promise<{ readonly params: Readonly<Record<string, unknown>> }>
    interactionFinished(
      request: IncomingMessage,
      response: ServerResponse,
      result: Readonly<Record<string, unknown>>,
      options: { mergeWithLastSubmission: boolean },
    ): Promise<void>
    readonly Grant: {
      new (properties: { accountId: string; clientId: string }): Grant
      find(id: string): Promise<Grant | undefined>
      readonly adapter: { destroy(id: string): Promise<void> }
    }
    readonly AccessToken: { revokeByGrantId(id: string): Promise<void> }
    readonly RefreshToken: { revokeByGrantId(id: string): Promise<void> }
  }
}
