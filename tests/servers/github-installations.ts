/**
 * Where an app is installed, and the tokens with which it acts as itself, as GitHub documents them: a JWT of at most ten
 * minutes signed with the app's key, tokens that live an hour and are narrowed to the repositories that are named.
 */
import { createVerify } from 'node:crypto'
import { accountFields, appId } from './github-webhooks.ts'
import { mintToken } from './github-tokens.ts'
import { json, type Answer } from './http.ts'
import type { InstallationControl, InstallRequest, Minting } from './installation-control.ts'

interface Installed extends InstallRequest {
  readonly id: number
  permissions: Readonly<Record<string, string>>
  suspendedAt: string | null
}

const writes = { contents: 'write', metadata: 'read', pull_requests: 'write' }
const tokenSeconds = 3_600
const longestAssertion = 600

export class Installations {
  readonly #clientId: string
  readonly #publicKey: string | undefined
  readonly #installed = new Map<number, Installed>()
  readonly #mintings: Minting[] = []
  readonly #until = new Map<string, number>()
  #next = 51_000_001
  #status = 0
  #tokenSeconds = tokenSeconds
  #waitMs = 0

  constructor(clientId: string, publicKey: string | undefined) {
    this.#clientId = clientId
    this.#publicKey = publicKey
  }

  readonly control: InstallationControl = {
    install: (wanted) => {
      const id = this.#next
      this.#next += 1
      const permissions = wanted.permissions ?? writes
      this.#installed.set(id, { ...wanted, permissions, id, suspendedAt: null })
      return id
    },
    suspend: (id, suspended) => {
      const known = this.#installed.get(id)
      if (known) known.suspendedAt = suspended ? new Date().toISOString() : null
    },
    removeInstallation: (id) => void this.#installed.delete(id),
    mintings: () => [...this.#mintings],
    failMinting: (status) => void (this.#status = status),
    configureMinting: (settings) => {
      this.#tokenSeconds = settings.tokenSeconds ?? tokenSeconds
      this.#waitMs = settings.waitMs ?? 0
    },
    isInstallationToken: (token) => (this.#until.get(token) ?? 0) > Date.now(),
    installationEvent: (action, id, at) => ({
      action,
      installation: { id, app_id: appId, updated_at: at },
    }),
  }

  get waitMs(): number {
    return this.#waitMs
  }

  /** `GET /user/installations`: those that the person sees. */
  list(login: string, query: URLSearchParams, origin: string): Answer {
    const all = [...this.#installed.values()].filter(({ members }) => members.includes(login))
    const size = Number(query.get('per_page') ?? 30)
    const from = (Number(query.get('page') ?? 1) - 1) * size
    const installations = all.slice(from, from + size).map(({ id, account, suspendedAt, permissions }) => ({
      id,
      app_id: appId,
      account: accountFields({ id: 7_000_000 + account.length, login: account }, origin),
      target_type: 'Organization',
      repository_selection: 'selected',
      permissions,
      suspended_at: suspendedAt,
      updated_at: new Date().toISOString(),
      access_tokens_url: `${origin}/app/installations/${id}/access_tokens`,
    }))
    return json(200, { total_count: all.length, installations })
  }

  /** `POST /app/installations/:id/access_tokens`. */
  mint(id: number, authorization: string, body: string): Answer {
    if (!this.#isApp(authorization)) return problem(401, 'A JSON web token could not be decoded')
    if (this.#status !== 0) return problem(this.#status, 'canary-of-the-provider')
    const known = this.#installed.get(id)
    if (!known) return problem(404, 'Not Found')
    if (known.suspendedAt !== null) return problem(403, 'This installation has been suspended')
    const { repositories = known.repositories } = JSON.parse(body || '{}') as {
      repositories?: readonly string[]
    }
    const has = (name: string) => known.repositories.some((one) => one.toLowerCase() === name.toLowerCase())
    if (!repositories.every(has)) return problem(422, 'There is at least one repository that does not exist')
    const token = mintToken('ghs_')
    const until = Date.now() + this.#tokenSeconds * 1_000
    this.#until.set(token, until)
    this.#mintings.push({ installation: id, repositories, token })
    return json(201, {
      token,
      expires_at: new Date(until).toISOString().replace(/\.\d+/, ''),
      permissions: known.permissions,
      repository_selection: 'selected',
      repositories: repositories.map((name) => ({ name, full_name: `${known.account}/${name}` })),
    })
  }

  #isApp(authorization: string): boolean {
    const [, head = '', claims = '', signature = ''] =
      /^Bearer ([\w-]+)\.([\w-]+)\.([\w-]+)$/.exec(authorization) ?? []
    if (this.#publicKey === undefined) return false
    const verify = createVerify('RSA-SHA256').update(`${head}.${claims}`)
    if (!verify.verify(this.#publicKey, signature, 'base64url')) return false
    const read = (part: string) =>
      JSON.parse(Buffer.from(part, 'base64url').toString()) as Record<string, unknown>
    const { iss, iat, exp } = read(claims)
    const now = Date.now() / 1_000
    return (
      read(head)['alg'] === 'RS256' &&
      iss === this.#clientId &&
      Number(iat) <= now &&
      Number(exp) > now &&
      Number(exp) - now <= longestAssertion
    )
  }
}

const problem = (status: number, message: string): Answer =>
  json(status, { message, documentation_url: 'https://docs.github.com/rest', status: String(status) })
