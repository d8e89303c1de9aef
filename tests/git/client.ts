/** git, as a person has it: a home of its own, no configuration but what a test writes. */
import { spawn } from 'node:child_process'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import { fileURLToPath } from 'node:url'

export const command = fileURLToPath(new URL('../../js-glue/dist/cli.js', import.meta.url))

export interface Ran {
  readonly status: number
  /** Of both streams, as it came. */
  readonly output: string
  /** What it said of it on standard error. */
  readonly said: string
}

export async function attempt(
  file: string,
  args: readonly string[],
  options: { cwd?: string; env?: Readonly<Record<string, string | undefined>>; input?: string } = {},
): Promise<Ran> {
  const { cwd, env = process.env, input = '' } = options
  const child = spawn(file, args, { ...(cwd !== undefined && { cwd }), env, stdio: 'pipe' })
  let output = ''
  let said = ''
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (text: string) => (output += text))
  child.stderr.on('data', (text: string) => (said += text))
  child.stdin.on('error', () => undefined).end(input)
  const status = await new Promise<number>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (code) => resolve(code ?? -1))
  })
  return { status, output, said }
}

export async function run(...parameters: Parameters<typeof attempt>): Promise<string> {
  const { status, output } = await attempt(...parameters)
  if (status !== 0) throw new Error(`${parameters[0]} ${parameters[1].join(' ')}: ${status}\n${output}`)
  return output
}

/** Somebody's machine. */
export class Workspace {
  readonly folder: string
  readonly env: Record<string, string> = {}

  private constructor(folder: string) {
    this.folder = folder
  }

  /** With the credential helper, as the README says. */
  static async of(folder: string, config = ''): Promise<Workspace> {
    await mkdir(folder, { recursive: true })
    const workspace = new Workspace(folder)
    const helper = `[credential]\n\thelper = "!${process.execPath} ${command} git-credential"\n`
    const person = '[user]\n\tname = Ada\n\temail = ada@example.org\n[init]\n\tdefaultBranch = main\n'
    await writeFile(`${folder}/.gitconfig`, `${person}${config || helper}`)
    return workspace
  }

  git(args: readonly string[], options: { cwd?: string; env?: Record<string, string> } = {}): Promise<Ran> {
    const env = {
      PATH: process.env['PATH'],
      HOME: this.folder,
      GIT_CONFIG_NOSYSTEM: '1',
      GIT_TERMINAL_PROMPT: '0',
      ...this.env,
      ...options.env,
    }
    return attempt('git', args, { cwd: options.cwd ?? this.folder, env })
  }

  /** As `git`, and throws where it fails. */
  async must(
    args: readonly string[],
    options: { cwd?: string; env?: Record<string, string> } = {},
  ): Promise<string> {
    const { status, output } = await this.git(args, options)
    if (status !== 0) throw new Error(`git ${args.join(' ')}: ${status}\n${output}`)
    return output
  }

  async write(path: string, content: string | Buffer): Promise<void> {
    await mkdir(dirname(`${this.folder}/${path}`), { recursive: true })
    await writeFile(`${this.folder}/${path}`, content)
  }

  read(path: string): Promise<string> {
    return readFile(`${this.folder}/${path}`, 'utf8')
  }
}
