import { parseArgs } from 'node:util'
import { helpText, usageLine } from './help-text.ts'
import { nearName } from './near-name.ts'
import { fileSuffix, type Setting, type SettingsOf, type SettingsSchema } from './setting.ts'
import { type DotEnv, type Environment, type Fault, rawSecret, rawValue, readDotEnv, type Sources } from './sources.ts'

export interface Program {
  /** What it is called on the command line. */
  readonly program: string
  /** What it is, in a sentence or two, for the help. */
  readonly summary: string
  /** Arguments after the program's own name. */
  readonly argv?: readonly string[]
  readonly env?: Environment
  /** Where `.env` is looked for, and where relative paths of secret files begin. */
  readonly cwd?: string
}

export type Loaded<Schema extends SettingsSchema> =
  /** Valid. `warnings` are lines worth showing: names in `.env` that look like slips. */
  | { readonly kind: 'settings'; readonly settings: SettingsOf<Schema>; readonly warnings: readonly string[] }
  /** `--help` was asked for. */
  | { readonly kind: 'help'; readonly text: string }
  /** `--check` was asked for, and all is well. */
  | { readonly kind: 'check'; readonly text: string; readonly warnings: readonly string[] }
  /** Everything that is wrong, at once. */
  | { readonly kind: 'faults'; readonly text: string; readonly faults: readonly Fault[] }

/**
 * Reads every setting of a schema from the environment, `.env` and secret files, in that order of precedence. Never
 * throws for what an operator did; the outcome says what to do. The settings are frozen, lists included.
 *
 * This is the only place of the workspace that reads `process.env`.
 */
export function loadSettings<const Schema extends SettingsSchema>(schema: Schema, program: Program): Loaded<Schema> {
  const { argv = process.argv.slice(2), env = process.env, cwd = process.cwd() } = program
  const command = readCommandLine(argv)
  if (command.kind === 'help') return { kind: 'help', text: helpText(schema, program) }

  const dotEnv = readDotEnv(cwd)
  const sources: Sources = { env, dotEnv, cwd }
  const faults: Fault[] = [...(command.kind === 'fault' ? [command.fault] : []), ...dotEnv.faults]
  const values: Record<string, unknown> = {}
  for (const [name, setting] of Object.entries(schema)) {
    const read = readSetting(name, setting, sources)
    if (read.kind === 'fault') faults.push(read.fault)
    else values[name] = frozen(read.value)
  }

  if (faults.length > 0) return { kind: 'faults', faults, text: faultsText(program, faults) }
  const warnings = slipsIn(dotEnv, schema)
  if (command.kind === 'check') return { kind: 'check', text: `${program.program}: settings are valid\n`, warnings }
  // Every name of the schema was read by its own setting just above; the compiler cannot see that of a record.
  return { kind: 'settings', settings: Object.freeze(values) as SettingsOf<Schema>, warnings }
}

type Command = { readonly kind: 'run' | 'check' | 'help' } | { readonly kind: 'fault'; readonly fault: Fault }

function readCommandLine(argv: readonly string[]): Command {
  const options = { help: { type: 'boolean', short: 'h' }, check: { type: 'boolean' } } as const
  const { tokens } = parseArgs({ args: [...argv], options, strict: false, tokens: true })
  const unknown = tokens.find(
    (token) => token.kind !== 'option' || !Object.hasOwn(options, token.name) || token.value !== undefined,
  )
  if (unknown) {
    const argument = argv[unknown.index] ?? ''
    // The value of an argument is not shown: it may be a secret meant for a setting.
    const name = argument.replace(/=.*$/s, '')
    const shown = unknown.kind === 'option' ? name : `number ${unknown.index + 1}`
    return { kind: 'fault', fault: { name: 'command line', message: `argument ${shown} is not known` } }
  }
  const given = new Set(tokens.map((token) => (token.kind === 'option' ? token.name : '')))
  if (given.has('help')) return { kind: 'help' }
  return { kind: given.has('check') ? 'check' : 'run' }
}

type ReadSetting =
  | { readonly kind: 'value'; readonly value: unknown }
  | { readonly kind: 'fault'; readonly fault: Fault }

function readSetting(name: string, setting: Setting<unknown>, sources: Sources): ReadSetting {
  const raw = setting.secret ? rawSecret(name, sources) : rawValue(name, sources)
  if (raw.kind === 'fault') return raw
  if (raw.kind === 'unset') {
    if (setting.presence.kind !== 'required') return { kind: 'value', value: setting.presence.value }
    return { kind: 'fault', fault: { name, message: `is required and not set; allowed: ${setting.allowed}` } }
  }
  const parsed = setting.parser.safeParse(raw.text)
  if (parsed.success) return { kind: 'value', value: parsed.data }
  const given = setting.secret ? 'a value (not shown)' : setting.showGiven(raw.text)
  // Only the messages written in `kinds.ts` are shown; zod's own speak of types, and could hold the text.
  const custom = parsed.error.issues.filter(({ code }) => code === 'custom')
  const detail = custom.map(({ message }) => message).join(', ')
  const message = `got ${given} from ${raw.origin}${detail ? ` (${detail})` : ''}; allowed: ${setting.allowed}`
  return { kind: 'fault', fault: { name, message } }
}

function frozen<Value>(value: Value): Value {
  if (typeof value !== 'object' || value === null) return value
  Object.values(value).forEach(frozen)
  return Object.freeze(value)
}

function faultsText({ program }: Program, faults: readonly Fault[]): string {
  const heading = `${program}: cannot start, ${faults.length === 1 ? '1 fault' : `${faults.length} faults`}`
  const lines = faults.map(({ name, message }) => `  ${name}: ${message}`)
  return [heading, ...lines, usageLine(program), ''].join('\n')
}

/** Names in `.env` that nobody asked for but that come close to a setting. Others may belong to other programs. */
function slipsIn(dotEnv: DotEnv, schema: SettingsSchema): readonly string[] {
  const known = Object.entries(schema).flatMap(([name, { secret }]) =>
    secret ? [name, `${name}${fileSuffix}`] : [name],
  )
  const unknown = Object.keys(dotEnv.values).filter((name) => !known.includes(name))
  const slips = unknown.map((name) => ({ name, line: dotEnv.lineOf(name) ?? 0, meant: nearName(name, known) }))
  return slips
    .filter(({ meant }) => meant !== undefined)
    .toSorted((a, b) => a.line - b.line)
    .map(({ name, line, meant }) => `.env line ${line}: ${name} is not a setting; did you mean ${meant}?`)
}
