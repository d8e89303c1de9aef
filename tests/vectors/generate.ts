// Makes the golden vectors.
//   node tests/vectors/generate.ts          writes them and their digest
//   node tests/vectors/generate.ts --check  fails when a committed file is stale
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import account from './cases/account.ts'
import admission from './cases/admission.ts'
import callback from './cases/callback.ts'
import capability from './cases/capability.ts'
import classify from './cases/classify.ts'
import config from './cases/config.ts'
import disconnect from './cases/disconnect.ts'
import exchange from './cases/exchange.ts'
import guard from './cases/guard.ts'
import introspection from './cases/introspection.ts'
import keys from './cases/keys.ts'
import principal from './cases/principal.ts'
import publicCode from './cases/public_code.ts'
import redact from './cases/redact.ts'
import repo from './cases/repo.ts'
import retention from './cases/retention.ts'
import returnTo from './cases/return_to.ts'
import scope from './cases/scope.ts'
import scopePlan from './cases/scope_plan.ts'
import seal from './cases/seal.ts'
import stateIssue from './cases/state_issue.ts'
import stateVerify from './cases/state_verify.ts'
import webhookRead from './cases/webhook_read.ts'
import webhookVerify from './cases/webhook_verify.ts'
import { digestOf, type Document, outcomeOf } from './format.ts'
import { readOptions } from '../../scripts/options.ts'

const folder = new URL('.', import.meta.url)

const documents: Readonly<Record<string, Document>> = {
  account,
  admission,
  callback,
  capability,
  classify,
  config,
  disconnect,
  exchange,
  guard,
  introspection,
  keys,
  principal,
  public_code: publicCode,
  redact,
  repo,
  retention,
  return_to: returnTo,
  scope,
  scope_plan: scopePlan,
  seal,
  state_issue: stateIssue,
  state_verify: stateVerify,
  webhook_read: webhookRead,
  webhook_verify: webhookVerify,
}

/** Every committed file by its name, as it has to be. */
export async function files(): Promise<Map<string, string>> {
  const made = new Map<string, string>()
  for (const [name, document] of Object.entries(documents)) {
    made.set(`${name}.json`, `${ascii(JSON.stringify(document, null, 1))}\n`)
  }
  const vectors = [...made.values()].flatMap((text) => (JSON.parse(text) as Document).vectors)
  const expected = vectors.map((vector) => ({ id: vector.id, outcome: outcomeOf(vector) }))
  made.set('digest.txt', `${await digestOf(expected)}\n`)
  return made
}

const ascii = (json: string): string =>
  json.replace(/[^\n -~]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`)

/** The names of committed files that are missing, changed or not made here. */
export async function staleFiles(): Promise<string[]> {
  const made = await files()
  const present = readdirSync(folder).filter((name) => name.endsWith('.json') || name === 'digest.txt')
  const names = new Set([...made.keys(), ...present])
  names.delete('tsconfig.json')
  return [...names].filter(
    (name) => !present.includes(name) || readFileSync(new URL(name, folder), 'utf8') !== made.get(name),
  )
}

if (import.meta.main) {
  if (readOptions({ check: { type: 'boolean' } }).values.check) {
    const stale = await staleFiles()
    for (const name of stale) console.error(`stale: tests/vectors/${name}`)
    process.exitCode = stale.length === 0 ? 0 : 1
  } else {
    for (const [name, text] of await files()) writeFileSync(new URL(name, folder), text)
  }
}
