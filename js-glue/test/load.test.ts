// The loaders: from the disk in Node, over HTTP in a browser (tried here with Node's own `fetch` on loopback).
import assert from 'node:assert/strict'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { after, before, describe, it } from 'node:test'
import * as browser from '../src/index.browser.ts'
import * as node from '../src/index.node.ts'
import * as signBrowser from '../src/sign.browser.ts'
import * as signNode from '../src/sign.node.ts'
import * as verifyBrowser from '../src/verify.browser.ts'
import * as verifyNode from '../src/verify.node.ts'
import { claims, entropy, expected, keyText, moduleBytes, now } from './support.ts'

describe('load, loadSigner and loadVerifier', () => {
  let server: Server
  let origin: string
  before(async () => {
    server = createServer((request, response) => {
      const [, name] = /^\/(latchkey(?:-\w+)?)\.wasm$/.exec(request.url ?? '') ?? []
      if (request.url === '/missing.wasm') response.writeHead(404).end()
      else if (request.url === '/text.wasm')
        response.writeHead(200, { 'content-type': 'text/plain' }).end('no module')
      else response.writeHead(200, { 'content-type': 'application/wasm' }).end(moduleBytes(name as never))
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  })
  after(() => {
    server.closeAllConnections()
    server.close()
  })

  it('work in Node and in a browser alike', async () => {
    const engines = [
      await node.load(),
      await browser.load(`${origin}/latchkey.wasm`),
      await signNode.loadSigner(),
      await signBrowser.loadSigner(`${origin}/latchkey-sign.wasm`),
    ]
    const verifiers = [
      await verifyNode.loadVerifier(),
      await verifyBrowser.loadVerifier(new URL('/latchkey-verify.wasm', origin)),
    ]
    for (const lk of engines) {
      const ring = lk.keys.parse(keyText)
      const { token } = lk.state.issue(ring, { ...claims, alg: 'EdDSA' }, { now, entropy })
      for (const verifier of verifiers) {
        const state = verifier.state.verify(lk.keys.publicJwks(ring), token, expected)
        assert.deepEqual(state, lk.state.verify(ring, token, expected))
        assert.deepEqual([verifier.abi, lk.abi], [1, 1])
      }
    }
  })

  it('share nothing: what one instance is doing is not seen by another', async () => {
    const [a, b] = [await node.load(), await node.load()]
    const ring = a.keys.parse(keyText)
    const { token } = a.state.issue(ring, claims, { now, entropy })
    const asked = {
      ...expected,
      get flow() {
        b.state.verify(ring, token, expected)
        return expected.flow
      },
    }
    assert.equal(a.state.verify(ring, token, asked).subject, 'alex')
  })

  it('fail clearly where there is no module', async () => {
    for (const path of ['/missing.wasm', '/text.wasm']) {
      await assert.rejects(browser.load(origin + path), TypeError)
      await assert.rejects(signBrowser.loadSigner(origin + path), TypeError)
      await assert.rejects(verifyBrowser.loadVerifier(origin + path), TypeError)
    }
  })
})
