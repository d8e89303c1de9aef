import { readFile, writeFile } from 'node:fs/promises'
import { randomBytes } from 'node:crypto'
import { load } from 'latchkey'

export interface Secrets {
  readonly LATCHKEY_KEYS: string
  readonly LATCHKEY_PRINCIPAL_KEY: string
  readonly LOCAL_CLIENT_SECRET: string
}

/** Reads the secrets of local development, or makes them at the first start. Nobody else may read the file. */
export async function localSecrets(file: string): Promise<Secrets> {
  const known = await readText(file)
  if (known !== undefined) return parseSecrets(known, file)
  const { keys } = await load()
  const secrets: Secrets = {
    LATCHKEY_KEYS: keys.generate('local-1', randomBytes(32)),
    LATCHKEY_PRINCIPAL_KEY: keys.generate('caller-1', randomBytes(32)),
    LOCAL_CLIENT_SECRET: randomBytes(32).toString('base64url'),
  }
  const lines = Object.entries(secrets).map(([name, value]) => `${name}="${value}"`)
  await writeFile(file, `${lines.join('\n')}\n`, { mode: 0o600, flag: 'wx' })
  return secrets
}

async function readText(file: string): Promise<string | undefined> {
  try {
    return await readFile(file, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}

export function parseSecrets(text: string, file: string): Secrets {
  const value = (name: string): string => {
    const found = new RegExp(`^${name}="?([^"\\n]+)"?$`, 'm').exec(text)?.[1]
    if (found === undefined)
      throw new Error(`${name} is missing in ${file}; remove that file to make new keys`)
    return found
  }
  return {
    LATCHKEY_KEYS: value('LATCHKEY_KEYS'),
    LATCHKEY_PRINCIPAL_KEY: value('LATCHKEY_PRINCIPAL_KEY'),
    LOCAL_CLIENT_SECRET: value('LOCAL_CLIENT_SECRET'),
  }
}
