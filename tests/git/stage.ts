/** A provider, the Worker in workerd and a git host, all on loopback and real. */
import { generateKeyPairSync } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { remote } from '../servers/control.ts'
import type { InstallationControl } from '../servers/installation-control.ts'
import { startStage, type Kind, type Stage } from '../load/stage.ts'
import { Workspace } from './client.ts'
import { startUpstream, type Upstream } from './upstream.ts'

/** What the provider is to the Worker; the protocol behind `gitlab` is another server's. */
export type Host = 'github' | 'gitlab'

const hosts = {
  github: { kind: 'github', user: 'x-access-token', base: '' },
  gitlab: { kind: 'oidc', user: 'oauth2', base: '/scm' },
} as const satisfies Record<Host, { kind: Kind; user: string; base: string }>

export interface Minted {
  readonly capability: string
  readonly expiresAt: number
  readonly repo: string
  readonly remote: string
}

export interface GitStage extends Stage {
  readonly upstream: Upstream
  /** The provider's name. */
  readonly name: Kind
  readonly folder: string
  readonly address: string
  /** At the provider that person is `login`, or called as here. */
  connect(subject: string, login?: string): Promise<void>
  ask(subject: string, method: string, path: string, body?: object): Promise<Response>
  mint(subject: string, wanted: object): Promise<Minted>
  /** Somebody's machine, with a capability in its environment. */
  workspace(name: string, capability?: string, more?: Readonly<Record<string, string>>): Promise<Workspace>
}

interface User {
  readonly login?: string
  readonly sub?: string
}

export async function startGitStage(
  host: Host,
  settings: { readonly accessSeconds?: number } = {},
  /** The Worker knows it as github.com, and every address leads to it. */
  wide = false,
): Promise<GitStage> {
  const { kind, user, base } = hosts[host]
  const folder = await mkdtemp(join(tmpdir(), 'latchkey-git-'))
  let provider = ''
  const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
  const isApp = async (token: string): Promise<boolean> =>
    token.startsWith('ghs_') && (await remote<InstallationControl>(provider).isInstallationToken(token))
  const userOf = async (token: string): Promise<User | undefined> => {
    const headers = { authorization: `Bearer ${token}` }
    const response = await fetch(`${provider}${kind === 'github' ? '/user' : '/me'}`, { headers })
    return response.ok ? ((await response.json()) as User) : undefined
  }
  const upstream = await startUpstream({
    folder: `${folder}/repositories`,
    user,
    base,
    whose: async (token) => {
      // What it may reach was decided when it was made.
      if (await isApp(token)) return 'team'
      const found = await userOf(token)
      return found?.login ?? found?.sub
    },
    account: async (token) => {
      const found = await userOf(token)
      return found && { id: `id-${found.sub}`, username: found.sub }
    },
  })
  const close = async (): Promise<void> => {
    await upstream.close()
    await rm(folder, { recursive: true, force: true })
  }
  try {
    const stage = await startStage({
      kind,
      settings,
      // A client of GitHub's is an app, which acts as itself where it is installed.
      ...(kind === 'github' && {
        server: { publicKey: publicKey.export({ type: 'spki', format: 'pem' }) },
        secrets: { GITHUB_APP_KEY: privateKey.export({ type: 'pkcs1', format: 'pem' }).toString() },
      }),
      ...(wide && { outbound: upstream.address.slice('http://'.length) }),
      provider: (address) => {
        provider = address
        if (wide) return {}
        const gitUrl = `${upstream.address}${base}`
        return host === 'github'
          ? { gitUrl, appUrl: address, revocationUrl: `${address}/applications/{client_id}/token` }
          : { gitUrl, profile: 'gitlab', userInfoUrl: `${upstream.address}/account` }
      },
    })
    const { ours } = stage
    const { address } = ours.worker
    const ask: GitStage['ask'] = (subject, method, path, body) => {
      const { headers, body: text } = ours.request(subject, method, path, body)
      return fetch(`${address}${path}`, {
        method,
        headers: { ...headers },
        ...(text !== undefined && { body: text }),
      })
    }
    return {
      ...stage,
      upstream,
      name: kind,
      folder,
      address,
      ask,
      connect: (subject, login) => ours.connect(subject, login === undefined ? {} : { login }),
      async mint(subject, wanted) {
        const response = await ask(subject, 'POST', '/api/capabilities', { provider: kind, ...wanted })
        const text = await response.text()
        if (response.status !== 201) throw new Error(`${response.status} ${text}`)
        return JSON.parse(text) as Minted
      },
      async workspace(name, capability, more = {}) {
        const workspace = await Workspace.of(`${folder}/${name}`)
        workspace.env['LATCHKEY_URL'] = address
        if (capability !== undefined) workspace.env['LATCHKEY_CAPABILITY'] = capability
        Object.assign(workspace.env, more)
        return workspace
      },
      async close() {
        await stage.close()
        await close()
      },
    }
  } catch (error) {
    await close()
    throw error
  }
}
