#!/usr/bin/env node
/** `npx latchkey git-credential get|store|erase` */
import { gitCredential } from './git-credential.ts'

const [command, action] = process.argv.slice(2)

if (command !== 'git-credential' || action === undefined) {
  console.error('usage: latchkey git-credential get|store|erase')
  process.exitCode = 2
} else {
  let input = ''
  for await (const chunk of process.stdin.setEncoding('utf8')) input += String(chunk)
  // Nothing is kept here, so there is nothing to store or to erase. A helper that has nothing tells git nothing.
  if (action === 'get')
    process.stdout.write(await gitCredential(input, process.env, console.error).catch(() => ''))
}
