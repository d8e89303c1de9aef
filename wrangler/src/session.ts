import type { Principal } from 'latchkey'
import type { App } from './app.ts'

/** What the page knows about who is looking at it. */
export interface SessionFacts {
  readonly subject: string
  readonly org?: string
  readonly role?: string
  readonly dev: boolean
  readonly connectEnabled: boolean
  /** `app`: it may act in a person's place. */
  readonly providers: { name: string; profile: string; title: string; app?: true }[]
}

export const describeSession = (app: App, { subject, org, role }: Principal): SessionFacts => ({
  subject,
  ...(org !== undefined && { org }),
  ...(role !== undefined && { role }),
  dev: app.config.dev,
  connectEnabled: app.config.connectEnabled,
  providers: app.config.providers.map(({ name, profile, title, app: isApp }) => ({
    name,
    profile,
    title,
    ...(isApp && { app: true }),
  })),
})
