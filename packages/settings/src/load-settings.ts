import { type Command, type CommandOption, type OptionValues, readCommandLine, usageLine } from './command-line.ts'
import type { SettingDescription } from './describe-settings.ts'
import { helpText } from './help-text.ts'
import { version } from './version.ts'
import { type Setting, type SettingsOf, type SettingsSchema } from './setting.ts'
import { unknownNames } from './unknown-names.ts'
import {
  type Environment,
  environmentOf,
  type Fault,
  rawValue,
  rawValueOrFile,
  readDotEnv,
  type Sources,
} from './sources.ts'

export interface Program<Value = undefined, Settings = never> {
  /** What it is called on the command line. */
  readonly program: string
  /** What it is, in a sentence or two, for the help. */
  readonly summary: string
  /** Options with a value, besides `--help` and `--check`. */
  readonly options?: readonly CommandOption[]
  readonly further?: Further<Value>
  /** What settings must keep to together. */
  readonly rules?: readonly Rule<Settings>[]
  /** Arguments after the program's own name. */
  readonly argv?: readonly string[]
  readonly env?: Environment
  /** Where `.env` is looked for, and where relative paths of secret files begin. */
  readonly cwd?: string
}

/** What several settings must keep to together, each of them being valid by itself. */
export interface Rule<Settings> {
  /** Those it is about. Its fault stands under the first; it is not asked when one of them is faulty already. */
  readonly about: readonly (keyof Settings & string)[]
  /** Reads the settings it is about and no others. What is wrong with them, in words that hold no secret. */
  readonly fault: (settings: Settings) => string | undefined
  /** Start goes on without what is wrong here and logs it, so that only `--check` asks. */
  readonly onlyChecked?: true
}

/** What a program reads at its start besides its settings, such as a file that an option names. */
export interface Further<Value> {
  /** For the help: a paragraph, and what can be set there. */
  readonly about: string
  readonly rows: readonly SettingDescription[]
  /** Called whatever the settings are like, so that the faults of both are told at once; must not throw for them. */
  read(start: Start): { readonly kind: 'value'; readonly value: Value } | Faulty
}

/** What a program was started with. */
export interface Start {
  readonly options: OptionValues
  /** The environment, completed by `.env`. */
  readonly env: Environment
  readonly cwd: string
  /** `--check`: nothing is started, and what would only be logged at start is worth a fault. */
  readonly onlyChecks: boolean
}

interface Faulty {
  readonly kind: 'faults'
  readonly faults: readonly Fault[]
}

export type Loaded<Schema extends SettingsSchema, Value = undefined> =
  | LoadedSettings<Schema, Value>
  /** `--help` or `--version` was asked for. */
  | { readonly kind: 'help' | 'version'; readonly text: string }
  /** `--check` was asked for, and all is well. */
  | { readonly kind: 'check'; readonly text: string; readonly warnings: readonly string[] }
  /** Everything that is wrong, at once. */
  | {
      readonly kind: 'faults'
      readonly text: string
      readonly faults: readonly Fault[]
      readonly warnings: readonly string[]
    }

/** Valid. `warnings` are lines worth showing: names that look like settings and are none. */
export interface LoadedSettings<Schema extends SettingsSchema, Value = undefined> {
  readonly kind: 'settings'
  readonly settings: SettingsOf<Schema>
  readonly options: OptionValues
  readonly further: Value
  readonly warnings: readonly string[]
}

/**
 * Reads every setting of a schema from the environment, `.env` and secret files, in that order of precedence, and what
 * the program reads besides. Never throws for what an operator did; the outcome says what to do. The settings are
 * frozen, lists included.
 *
 * This is the only place of the workspace that reads `process.env`.
 */
export function loadSettings<const Schema extends SettingsSchema, Value = undefined>(
  schema: Schema,
  program: Program<Value, SettingsOf<Schema>>,
): Loaded<Schema, Value> {
  const { argv = process.argv.slice(2), env = process.env, cwd = process.cwd() } = program
  const command = readCommandLine(argv, program.options, Object.keys(schema))
  if (command.kind === 'help') return { kind: 'help', text: helpText(schema, program) }
  if (command.kind === 'version') return { kind: 'version', text: `ipfleet-${program.program} ${version}\n` }

  const sources: Sources = { env, dotEnv: readDotEnv(cwd), cwd }
  const { values, faults } = readSettings(schema, sources)
  const broken = brokenRules(rulesFor(command, program.rules), values)
  const further = readFurther(program.further, command, sources)
  const all = [...(command.kind === 'fault' ? [command.fault] : []), ...faults, ...broken, ...further.faults]
  const warnings = unknownNames(sources, schema)
  if (command.kind === 'fault' || all.length > 0) {
    return { kind: 'faults', faults: all, text: faultsText(program, all), warnings }
  }

  if (command.kind === 'check') return { kind: 'check', text: `${program.program}: settings are valid\n`, warnings }
  return {
    kind: 'settings',
    // Without a fault every name of the schema has been read by its own setting, and what `further` reads is there;
    // the compiler can see neither.
    settings: Object.freeze(values) as SettingsOf<Schema>,
    further: further.value as Value,
    options: command.options,
    warnings,
  }
}

function readSettings(schema: SettingsSchema, sources: Sources) {
  const faults = [...sources.dotEnv.faults]
  const values: Record<string, unknown> = {}
  for (const [name, setting] of Object.entries(schema)) {
    const read = readSetting(name, setting, sources)
    if (read.kind === 'fault') faults.push(read.fault)
    else values[name] = frozen(read.value)
  }
  return { values, faults }
}

function rulesFor<Settings>(command: Command, rules: readonly Rule<Settings>[] = []): readonly Rule<Settings>[] {
  return command.kind === 'check' ? rules : rules.filter(({ onlyChecked }) => onlyChecked !== true)
}

/** A setting that is not among the values was faulty. */
function brokenRules<Settings>(rules: readonly Rule<Settings>[], values: Record<string, unknown>): readonly Fault[] {
  return rules.flatMap(({ about, fault }) => {
    if (!about.every((name) => Object.hasOwn(values, name))) return []
    // Those that the rule reads are there.
    const message = fault(values as Settings)
    return message === undefined ? [] : [{ name: about[0] ?? 'settings', message }]
  })
}

/** Nothing is read when the command line is not understood: it may name the wrong file. */
function readFurther<Value>(further: Further<Value> | undefined, command: Command, sources: Sources) {
  if (!further || command.kind === 'fault') return { value: undefined, faults: [] }
  const read = further.read({
    options: command.options,
    env: environmentOf(sources),
    cwd: sources.cwd,
    onlyChecks: command.kind === 'check',
  })
  return read.kind === 'value' ? { value: read.value, faults: [] } : { value: undefined, faults: read.faults }
}

type ReadSetting =
  | { readonly kind: 'value'; readonly value: unknown }
  | { readonly kind: 'fault'; readonly fault: Fault }

function readSetting(name: string, setting: Setting<unknown>, sources: Sources): ReadSetting {
  const raw = setting.fromFile ? rawValueOrFile(name, sources) : rawValue(name, sources)
  if (raw.kind === 'fault') return raw
  if (raw.kind === 'unset') {
    if (setting.presence.kind !== 'required') return { kind: 'value', value: setting.presence.value }
    return { kind: 'fault', fault: { name, message: `is required and not set; allowed: ${setting.allowed}` } }
  }
  // Shells take quotes away; env files of Docker and systemd units do not always.
  if (/^(["'])[^]*\1$/.test(raw.text)) {
    const message = `the value from ${raw.origin} is in quotes, which would be part of it: take them away`
    return { kind: 'fault', fault: { name, message } }
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

function faultsText({ program, options }: Pick<Program, 'program' | 'options'>, faults: readonly Fault[]): string {
  const heading = `${program}: cannot start, ${faults.length === 1 ? '1 fault' : `${faults.length} faults`}`
  const lines = faults.map(({ name, message }) => `  ${name}: ${message}`)
  return [heading, ...lines, usageLine(program, options), ''].join('\n')
}
