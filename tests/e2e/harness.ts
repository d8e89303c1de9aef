/** Real servers and a real browser for the tests of the whole way. */
import { generateKeyPairSync } from 'node:crypto'
import { access, mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { load, type KeyRing, type Latchkey, type Principal } from 'latchkey'
import { chromium, type Browser, type BrowserContext, type Page } from 'playwright-core'
import { startLocal, type Local } from '../../wrangler/dev/local.ts'
import { startGitHubApps, type GitHubServer } from '../servers/github-apps.ts'
import { freePort } from '../servers/ports.ts'

export interface Stack {
  readonly local: Local
  readonly browser: Browser
  readonly lk: Latchkey
  readonly keys: KeyRing
  readonly principalKeys: KeyRing
  /** Behind the provider `app`, which acts as itself where it is installed; its repositories lie below `/git`. */
  readonly github: GitHubServer
  /** Where the Worker keeps what it knows. */
  readonly folder: string
  /** What the Worker wrote to its log. */
  readonly log: string[]
  close(): Promise<void>
}

/** A test run that is ended from outside ends its servers too. */
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1))

/** What the provider `app` signs its deliveries with, once it is told where to. */
export const webhookSecret = 'what Hub signs its deliveries with'

export async function startStack(): Promise<Stack> {
  const folder = await mkdtemp(join(tmpdir(), 'latchkey-e2e-'))
  const log: string[] = []
  const port = await freePort()
  const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
  const [clientId, clientSecret] = ['latchkey-e2e', '0123456789abcdef0123456789abcdef01234567']
  const github = await startGitHubApps({
    clientId,
    clientSecret,
    redirectUris: [`http://127.0.0.1:${port}/callback/app`],
    publicKey: publicKey.export({ type: 'spki', format: 'pem' }).toString(),
    settings: { latencyMs: [0, 0] },
  })
  const app = {
    title: 'Hub',
    profile: 'github-app',
    clientId,
    authorizationUrl: `${github.address}/login/oauth/authorize`,
    tokenUrl: `${github.address}/login/oauth/access_token`,
    revocationUrl: `${github.address}/applications/{client_id}/token`,
    userInfoUrl: `${github.address}/user`,
    appUrl: github.address,
    gitUrl: `${github.address}/git`,
  }
  const key = privateKey.export({ type: 'pkcs1', format: 'pem' }).toString()
  const local = await startLocal({
    port,
    issuerPort: await freePort(),
    secretsFile: join(folder, 'secrets'),
    stateDirectory: folder,
    formPost: true,
    others: {
      providers: { app },
      vars: { APP_CLIENT_SECRET: clientSecret, APP_APP_KEY: key, APP_WEBHOOK_SECRET: webhookSecret },
    },
    onLine: (line) => log.push(line),
  })
  const lk = await load()
  const browser = await chromium.launch({
    executablePath: await chromiumPath(),
    args: [
      '--no-sandbox',
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
    ],
  })
  return {
    local,
    github,
    folder,
    browser,
    lk,
    keys: lk.keys.parse(local.secrets.LATCHKEY_KEYS),
    principalKeys: lk.keys.parse(local.secrets.LATCHKEY_PRINCIPAL_KEY),
    log,
    async close() {
      await browser.close()
      await local.close()
      await github.close()
      await rm(folder, { recursive: true })
    },
  }
}

async function chromiumPath(): Promise<string> {
  for (const folder of (process.env['PATH'] ?? '').split(delimiter)) {
    const candidate = join(folder, 'chromium')
    if (
      await access(candidate).then(
        () => true,
        () => false,
      )
    )
      return candidate
  }
  throw new Error('chromium is not installed')
}

/** A person at a browser of their own. */
export class Person {
  readonly stack: Stack
  readonly context: BrowserContext
  readonly page: Page
  readonly subject: string

  private constructor(stack: Stack, context: BrowserContext, page: Page, subject: string) {
    this.stack = stack
    this.context = context
    this.page = page
    this.subject = subject
  }

  /** Opens a fresh browser profile and signs in at the Worker's local page. */
  static async signIn(
    stack: Stack,
    subject: string,
    options: {
      org?: string
      role?: string
      javaScriptEnabled?: boolean
      colorScheme?: 'light' | 'dark'
    } = {},
  ): Promise<Person> {
    const { javaScriptEnabled = true, colorScheme = 'light' } = options
    const context = await stack.browser.newContext({ javaScriptEnabled, colorScheme })
    context.setDefaultTimeout(20_000)
    const person = new Person(stack, context, await context.newPage(), subject)
    await person.become(subject, options)
    return person
  }

  async become(subject: string, options: { org?: string; role?: string } = {}): Promise<void> {
    await this.page.goto(`${this.stack.local.address}/dev/sign-in`)
    await this.page.fill('[name=subject]', subject)
    if (options.org) await this.page.fill('[name=org]', options.org)
    if (options.role) await this.page.selectOption('[name=role]', options.role)
    await this.page.click('form button.primary')
    await this.page.waitForURL(`${this.stack.local.address}/`)
  }

  card(provider: string, owner: 'user' | 'org' = 'user') {
    return this.page.locator(`.card[data-provider="${provider}"][data-owner="${owner}"]`)
  }

  async status(provider: string, owner: 'user' | 'org' = 'user'): Promise<string | null> {
    return await this.card(provider, owner).getAttribute('data-status')
  }

  /** Clicks Connect and goes through sign-in and consent as far as they are asked for. */
  async connect(provider: string, owner: 'user' | 'org' = 'user'): Promise<void> {
    await this.card(provider, owner).locator('[data-action=connect]').click()
    await this.consent(this.page)
    await this.page.waitForURL((url) => url.origin === this.stack.local.address)
  }

  async consent(page: Page, login = 'alex'): Promise<void> {
    const { issuer } = this.stack.local
    const buttons = page.getByRole('button', { name: /^(?:Sign in|Allow)$/ })
    while (page.url().startsWith(issuer) && (await buttons.count()) > 0) {
      if ((await page.locator('[name=login]').count()) > 0) await page.fill('[name=login]', login)
      await Promise.all([page.waitForNavigation(), buttons.click()])
    }
  }

  /** Goes as far as the authorization response and does not follow it: the callback address, not yet visited. */
  async heldCallback(provider = 'local'): Promise<string> {
    const { address, issuer } = this.stack.local
    const step = { maxRedirects: 0 }
    let url = `${address}/connect/${provider}?owner=user&return_to=/`
    for (let steps = 0; steps < 12; steps += 1) {
      const response = await this.context.request.get(url, step)
      let next = response.headers()['location']
      if (next === undefined) {
        const action = /action="(\/interaction\/[\w-]+\/(?:login|confirm))"/.exec(await response.text())?.[1]
        if (action === undefined) throw new Error(`nothing to go on with at ${url}`)
        const form = { login: 'alex', password: 'latchkey' }
        next = (await this.context.request.post(`${issuer}${action}`, { ...step, form })).headers()[
          'location'
        ]
      }
      url = new URL(next ?? '', url).href
      if (url.startsWith(`${address}/callback/`)) return url
    }
    throw new Error('the authorization server did not answer')
  }

  /** A request with this browser's cookies and nothing else of it; redirects are not followed. */
  async send(url: string, init: RequestInit = {}): Promise<Response> {
    const cookies = await this.context.cookies(url)
    const headers = new Headers(init.headers)
    headers.set('cookie', cookies.map(({ name, value }) => `${name}=${value}`).join('; '))
    return await fetch(url, { ...init, headers, redirect: 'manual' })
  }

  /** Where a callback sends this browser: the outcome in the query. */
  async outcome(url: string): Promise<URLSearchParams> {
    const response = await this.send(url)
    return new URL(response.headers.get('location') ?? '', this.stack.local.address).searchParams
  }

  async binding(): Promise<Uint8Array> {
    const cookie = (await this.context.cookies()).find(({ name }) => name === 'latchkey-binding')
    return new Uint8Array(Buffer.from(cookie?.value ?? '', 'base64url'))
  }

  async close(): Promise<void> {
    await this.context.close()
  }
}

/** Calls the HTTP interface as a service does: with an assertion of who it calls for. */
export async function call(stack: Stack, subject: string, method: string, path: string, body?: unknown) {
  const principal: Principal = { subject, kind: 'service' }
  const assertion = stack.lk.principal.issue(stack.principalKeys, principal, { now: Date.now() })
  const response = await fetch(`${stack.local.address}${path}`, {
    method,
    headers: {
      authorization: `Bearer ${assertion}`,
      ...(body !== undefined && { 'content-type': 'application/json' }),
    },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  })
  return { status: response.status, body: (await response.json()) as Record<string, unknown> }
}

/** What the authorization server itself says about a token (RFC 7662). */
export async function introspect(stack: Stack, token: string): Promise<Record<string, unknown>> {
  const { issuer, clientId, secrets } = stack.local
  const response = await fetch(`${issuer}/token/introspection`, {
    method: 'POST',
    headers: { authorization: `Basic ${btoa(`${clientId}:${secrets.LOCAL_CLIENT_SECRET}`)}` },
    body: new URLSearchParams({ token }),
  })
  return (await response.json()) as Record<string, unknown>
}

export async function screenshot(page: Page, name: string): Promise<void> {
  const folder = fileURLToPath(new URL('../../build/screenshots', import.meta.url))
  await mkdir(folder, { recursive: true })
  await page.screenshot({ path: join(folder, `${name}.png`), fullPage: true })
}
