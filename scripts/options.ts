/** The options of a command; one that there is not ends it with a line that says which there are. */
import { parseArgs, type ParseArgsConfig, type ParseArgsOptionsConfig } from 'node:util'

type Parsed<Options extends ParseArgsOptionsConfig> = ReturnType<
  typeof parseArgs<ParseArgsConfig & { options: Options; allowPositionals: true }>
>

function refuse(what: string, names: readonly string[]): never {
  console.error(`${what}; known: ${names.join(' ') || 'none'}`)
  process.exit(2)
}

/** `names`: whether words that are no options are taken; the command itself then says which. */
export function readOptions<const Options extends ParseArgsOptionsConfig>(
  options: Options,
  { names = false } = {},
): Parsed<Options> {
  const known = Object.keys(options).map((name) => `--${name}`)
  try {
    const parsed = parseArgs({ options, allowPositionals: true })
    if (!names && parsed.positionals.length > 0) refuse(`no such option: ${parsed.positionals[0]!}`, known)
    return parsed as Parsed<Options>
  } catch (error) {
    refuse((error as Error).message.split(/\. |$/m)[0]!, known)
  }
}
