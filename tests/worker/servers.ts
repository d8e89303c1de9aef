/** The servers that the Worker talks to: a real authorization server, and a token endpoint that misbehaves. */
import { generateKeyPairSync } from 'node:crypto'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { TestProject } from 'vitest/node'
import { startAuthorizationServer } from '../../wrangler/dev/authorization-server.ts'
import { startGitHubApps } from '../servers/github-apps.ts'
import { appSecret, baseUrl, clientId, clientSecret, faults } from './variables.ts'
import { freePort } from '../servers/ports.ts'

export default async function setup({ provide }: TestProject): Promise<() => Promise<void>> {
  const port = await freePort()
  const names = [
    'good',
    'posted',
    'moved',
    'nobody',
    'stubborn',
    'eager',
    'quiet',
    'lapsing',
    'short',
    'hooked',
    'hooked-too',
    ...faults,
  ]
  const authorizationServer = await startAuthorizationServer({
    port,
    clientId,
    clientSecret,
    redirectUris: names.map((name) => `${baseUrl}/callback/${name}`),
    file: ':memory:',
  })
  const tokenServer = createServer((request, response) => {
    answer(authorizationServer.issuer, request, response).catch(() => response.destroy())
  })
  const tokenPort = await listen(tokenServer)
  const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
  const github = await startGitHubApps({
    clientId,
    clientSecret: appSecret,
    redirectUris: ['app', 'app-too'].map((name) => `${baseUrl}/callback/${name}`),
    publicKey: publicKey.export({ type: 'spki', format: 'pem' }).toString(),
    settings: { latencyMs: [0, 0] },
  })
  provide('github', github.address)
  // As GitHub hands it out, and as everybody else does.
  provide('appKeys', [
    privateKey.export({ type: 'pkcs1', format: 'pem' }).toString(),
    privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
  ])
  provide('issuer', authorizationServer.issuer)
  provide('tokenServer', `http://127.0.0.1:${tokenPort}`)
  return async () => {
    tokenServer.closeAllConnections()
    await new Promise((resolve) => tokenServer.close(resolve))
    await authorizationServer.close()
    await github.close()
  }
}

/** Codes that reached the token endpoint, in order. */
const exchanged: string[] = []
let looped = 0
let isDown = false
/** What the git host was asked since somebody looked. */
const asked: string[] = []
const refusedOnce = new Set<string>()

async function answer(issuer: string, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const body = await text(request)
  const json = (status: number, value: unknown): void => {
    response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(value))
  }
  const redirect = (status: number, location: string): void => {
    response.writeHead(status, { location }).end()
  }
  if (request.url?.startsWith('/git/')) {
    asked.push(request.url)
    // `once-...`: the first time that it is asked for, no token is good enough.
    const isRefused = request.url.includes('/once-') && !refusedOnce.has(request.url)
    refusedOnce.add(request.url)
    const status = isRefused ? 401 : Number(/\/status-(\d+)\./.exec(request.url)?.[1] ?? 200)
    response.writeHead(status, { 'content-type': 'application/x-git-upload-pack-advertisement' })
    response.end(`canary-of-the-provider ${request.headers.authorization}`)
    return
  }
  switch (request.url) {
    case '/asked':
      return json(200, asked.splice(0))
    case '/exchanged':
      return json(200, exchanged)
    case '/looped':
      return json(200, looped)
    case '/lapsing/down':
    case '/lapsing/up':
      isDown = request.url.endsWith('down')
      return json(200, {})
    case '/token/lapsing':
    case '/token/short':
    case '/token/counted': {
      if (request.url === '/token/lapsing' && isDown) return json(503, {})
      exchanged.push(new URLSearchParams(body).get('code') ?? '')
      const headers = new Headers()
      for (const name of ['authorization', 'content-type', 'accept'])
        headers.set(name, String(request.headers[name] ?? ''))
      const forwarded = await fetch(`${issuer}/token`, { method: 'POST', headers, body })
      const answer = (await forwarded.json()) as Record<string, unknown>
      if (request.url === '/token/short') delete answer['refresh_token']
      return json(forwarded.status, answer)
    }
    case '/token/client-in-body': {
      const form = new URLSearchParams(body)
      const client = ['client_id', 'client_secret'].map((name) => {
        const value = form.get(name) ?? ''
        form.delete(name)
        return new URLSearchParams({ '': value }).toString().slice(1)
      })
      const authorization = `Basic ${Buffer.from(client.join(':')).toString('base64')}`
      const forwarded = await fetch(`${issuer}/token`, {
        method: 'POST',
        headers: { authorization },
        body: form,
      })
      return json(forwarded.status, await forwarded.json())
    }
    case '/github-user': {
      const { authorization = '' } = request.headers
      const user = await fetch(`${issuer}/me`, { headers: { authorization } })
      if (!user.ok) return json(401, {})
      // A number that a double does not hold.
      response.writeHead(200, { 'content-type': 'application/json' })
      response.end('{"id":9007199254740993,"login":"alex"}')
      return
    }
    case '/token/moved':
      return redirect(307, '/token/counted')
    case '/token/see-other':
      return redirect(303, '/token/counted')
    case '/token/elsewhere':
      return redirect(307, `${issuer}/token`)
    case '/token/loop':
      looped += 1
      return redirect(308, '/token/loop')
    case '/token/refused':
      return json(400, { error: 'invalid_grant', error_description: 'canary-of-the-provider' })
    case '/token/failing':
    case '/revocation/failing':
      return json(503, { error: 'canary-of-the-provider' })
    case '/token/html':
      response.writeHead(200, { 'content-type': 'text/html' }).end('<p>canary-of-the-provider</p>')
      return
    case '/token/empty':
      return json(200, {})
    case '/token/huge':
      return json(200, { access_token: 'a', token_type: 'Bearer', padding: 'x'.repeat(70_000) })
    case '/nobody':
      return json(200, { name: 'canary-of-the-provider' })
    default:
      return json(404, {})
  }
}

async function text(request: IncomingMessage): Promise<string> {
  let all = ''
  for await (const chunk of request) all += String(chunk)
  return all
}

async function listen(server: Server): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  if (typeof address !== 'object' || address === null) throw new Error('no port')
  return address.port
}
