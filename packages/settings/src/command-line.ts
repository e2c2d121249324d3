import { parseArgs } from 'node:util'
import { nearName } from './near-name.ts'
import type { Fault } from './sources.ts'

/** An option that takes a value, such as `--config FILE`. `--help`, `--version` and `--check` are always there. */
export interface CommandOption {
  /** Without its dashes. */
  readonly name: string
  /** What stands for the value in the help: `FILE`. */
  readonly value: string
  readonly help: string
}

export type OptionValues = Readonly<Record<string, string | undefined>>

export type Command =
  | { readonly kind: 'run' | 'check' | 'help' | 'version'; readonly options: OptionValues }
  | { readonly kind: 'fault'; readonly fault: Fault }

type Options = readonly CommandOption[]

/**
 * Reads the arguments after the program's own name. Faults show no values: they may be secrets meant for a setting.
 * @param settings names of the program's settings, which some type as options
 */
export function readCommandLine(
  argv: readonly string[],
  known: Options = [],
  settings: readonly string[] = [],
): Command {
  const types = Object.fromEntries(known.map(({ name }) => [name, { type: 'string' } as const]))
  const flags = {
    help: { type: 'boolean', short: 'h' },
    version: { type: 'boolean' },
    check: { type: 'boolean' },
  } as const
  const { tokens } = parseArgs({ args: [...argv], options: { ...flags, ...types }, strict: false, tokens: true })
  const options: Record<string, string> = {}
  const given = new Set<string>()
  for (const token of tokens) {
    if (token.kind !== 'option') return faulty(`argument number ${token.index + 1} is not known`)
    const { name, value } = token
    const option = known.find((one) => one.name === name)
    if (!option) {
      if (!Object.hasOwn(flags, name) || value !== undefined) {
        const names = [...known.map((one) => one.name), ...Object.keys(flags)]
        return faulty(`argument ${token.rawName} is not known${adviceOn(name, names, settings)}`)
      }
    } else if (value === undefined || value === '' || (value.startsWith('-') && !token.inlineValue)) {
      return faulty(`argument --${name} needs a value: ${optionInWords(option)}`)
    } else if (Object.hasOwn(options, name)) {
      return faulty(`argument --${name} is there twice`)
    } else {
      options[name] = value
    }
    given.add(name)
  }
  const kinds = ['help', 'version', 'check'] as const
  return { kind: kinds.find((kind) => given.has(kind)) ?? 'run', options }
}

function adviceOn(name: string, names: readonly string[], settings: readonly string[]): string {
  const setting = name.toUpperCase().replaceAll('-', '_')
  if (settings.includes(setting)) return `; ${setting} is a setting, for the environment or .env`
  const near = nearName(name, names)
  return near === undefined ? '' : `; did you mean --${near}?`
}

function faulty(message: string): Command {
  return { kind: 'fault', fault: { name: 'command line', message } }
}

/** As it is typed: `--config FILE`. */
export function optionInWords({ name, value }: CommandOption): string {
  return `--${name} ${value}`
}

export function usageLine(program: string, options: Options = []): string {
  const own = options.map((option) => `[${optionInWords(option)}] `).join('')
  return `Usage: ${program} ${own}[--help | --version | --check]`
}
