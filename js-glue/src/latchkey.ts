import { makeAdmission } from './admission.ts'
import { decideDisconnect, introspectionDoubt, readAccount, readExchange } from './answers.ts'
import { abi } from './abi.gen.ts'
import { classifyRefresh } from './classify.ts'
import { checkConfig } from './config.ts'
import {
  connectTarget,
  eraseTarget,
  guardRequest,
  isLoopbackHost,
  issuePrincipal,
  mayGoTo,
  open,
  planCallback,
  returnTo,
  seal,
  verifyPrincipal,
  writeTarget,
} from './decisions.ts'
import { generateKey, parseKeys, publicJwks } from './keys.ts'
import { Module } from './module.ts'
import { redact } from './redact.ts'
import { admit, describe, step } from './refresh.ts'
import { makeRetention } from './retention.ts'
import { capabilities, checkName, parseRepo, scopes, storageKey, upstreams } from './scope.ts'
import { codeVerifier, issueState, peekState, verifyState, verifyWholeState } from './state.ts'
import type { Latchkey, Signer, Verifier } from './types.ts'
import {
  beginWebhook,
  finishWebhook,
  readWebhook,
  updateWebhook,
  verifyWebhook,
  webhookHeaders,
} from './webhook.ts'

const signerOf = (m: Module): Signer => ({
  abi: abi.version,
  keys: {
    generate: (kid, entropy32) => generateKey(m, kid, entropy32),
    parse: (text) => parseKeys(m, text),
    publicJwks: (ring) => publicJwks(m, ring),
  },
  state: {
    issue: (ring, claims, context) => issueState(m, ring, claims, context),
    verify: (keys, token, expected) => verifyWholeState(m, keys, token, expected),
    peek: (token) => peekState(m, token),
    codeVerifier: (ring, state) => codeVerifier(m, ring, state),
  },
  callback: { plan: (input) => planCallback(m, input) },
  returnTo: (text, options) => returnTo(m, text, options?.base),
  seal: {
    seal: (ring, bytes, context, entropy) => seal(m, ring, bytes, context, entropy),
    open: (ring, text, context) => open(m, ring, text, context),
  },
  principal: {
    issue: (ring, principal, context) => issuePrincipal(m, ring, principal, context),
    verify: (ring, token, context) => verifyPrincipal(m, ring, token, context),
  },
})

/** Makes what signs and checks of a compiled sign module. */
export const makeSigner = (compiled: WebAssembly.Module): Signer => signerOf(new Module(compiled))

/** Makes the whole engine of a compiled edge module. */
export function makeLatchkey(compiled: WebAssembly.Module): Latchkey {
  const m = new Module(compiled)
  return {
    ...signerOf(m),
    scope: {
      writeTarget: (facts) => writeTarget(m, facts),
      connectTarget: (facts) => connectTarget(m, facts),
      eraseTarget: (facts) => eraseTarget(m, facts),
      ...scopes(m),
    },
    repo: { parse: (text, options) => parseRepo(m, text, options?.hosts) },
    upstream: upstreams(m),
    capability: capabilities(m),
    guard: {
      isLoopbackHost: (host) => isLoopbackHost(m, host),
      request: (facts) => guardRequest(m, facts),
      outbound: (url, options) => mayGoTo(m, url, options),
      name: (text) => checkName(m, text),
      key: (parts) => storageKey(m, parts),
    },
    exchange: { read: (answer, context) => readExchange(m, answer, context) },
    account: { read: (answer, context) => readAccount(m, answer, context) },
    introspection: { doubt: (answer) => introspectionDoubt(m, answer) },
    disconnect: { decide: (answer) => decideDisconnect(m, answer) },
    refresh: {
      admit: (contract, policy, traits) => admit(m, contract, policy, traits),
      step: (row, flow, event, context) => step(m, row, flow, event, context),
      classify: (provider, answer, context) => classifyRefresh(m, provider, answer, context),
      describe: (row, now) => describe(m, row, now),
    },
    retention: makeRetention(m),
    admission: makeAdmission(m),
    redact: (text) => redact(m, text),
    webhook: {
      headers: (profile) => webhookHeaders(m, profile),
      verify: (secret, signature, body, options) => verifyWebhook(m, secret, signature, body, options),
      begin: (secret, options) => beginWebhook(m, secret, options),
      update: (stream, piece) => updateWebhook(m, stream, piece),
      finish: (stream, signature, context) => finishWebhook(m, stream, signature, context),
      read: (delivery, context) => readWebhook(m, delivery, context),
    },
    config: { check: (vars) => checkConfig(m, vars) },
  }
}

/** Makes the verifier of a compiled verify-only module. */
export function makeVerifier(compiled: WebAssembly.Module): Verifier {
  const m = new Module(compiled)
  return {
    abi: abi.version,
    state: {
      verify: (jwks, token, expected) => verifyState(m, jwks, token, expected),
      peek: (token) => peekState(m, token),
    },
    returnTo: (text, options) => returnTo(m, text, options?.base),
  }
}
