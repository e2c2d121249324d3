import { type CommandOption, optionInWords, usageLine } from './command-line.ts'
import { describeSettings, type SettingDescription } from './describe-settings.ts'
import type { SettingsSchema } from './setting.ts'

const lineWidth = 96

interface HelpAbout {
  readonly program: string
  readonly summary: string
  readonly options?: readonly CommandOption[]
  /** What else can be set, below the settings: a paragraph and the rows. */
  readonly further?: { readonly about: string; readonly rows: readonly SettingDescription[] }
}

/** Everything that can be set, by group, wrapped to 96 columns. Ends in a line end. */
export function helpText(schema: SettingsSchema, { program, summary, options = [], further }: HelpAbout): string {
  return [
    usageLine(program, options),
    '',
    ...wrapped(summary, lineWidth),
    '',
    ...optionLines(options),
    '',
    ...wrapped(
      'Settings come from the environment, and from the file .env in the working directory where the environment has ' +
        'none. An empty value counts as not set.',
      lineWidth,
    ),
    ...sections(describeSettings(schema)),
    ...(further ? ['', ...wrapped(further.about, lineWidth), ...sections(further.rows)] : []),
    '',
  ].join('\n')
}

function optionLines(options: readonly CommandOption[]): readonly string[] {
  const rows: readonly (readonly [name: string, help: string])[] = [
    ...options.map((option) => [optionInWords(option), option.help] as const),
    ['--help, -h', 'show this text'],
    ['--version', 'print the version'],
    ['--check', 'check the settings and the files they name, and end: exit code 0 if they are valid, 2 if not'],
  ]
  const column = Math.max(...rows.map(([name]) => name.length)) + 5
  return rows.flatMap(([name, help]) => hanging(name, wrapped(help, lineWidth - column), column))
}

function sections(rows: readonly SettingDescription[]): readonly string[] {
  const column = Math.max(0, ...rows.map(({ name }) => name.length)) + 4
  const groups = [...new Set(rows.map(({ group }) => group))]
  return groups.flatMap((group) =>
    ['', `${group}:`].concat(rows.filter((row) => row.group === group).flatMap((row) => entry(row, column))),
  )
}

function entry(row: SettingDescription, column: number): readonly string[] {
  const lines = [row.help, `Allowed: ${row.allowed}.`, presenceInWords(row)]
  if (row.fileName) lines.push(`${row.fileName} may name a file that holds it instead.`)
  return hanging(
    row.name,
    lines.flatMap((line) => wrapped(line, lineWidth - column)),
    column,
  )
}

/** A name with its lines beside it, which all begin in the same column. */
function hanging(name: string, [first = '', ...others]: readonly string[], column: number): readonly string[] {
  return [`  ${name}`.padEnd(column) + first, ...others.map((line) => ' '.repeat(column) + line)]
}

function presenceInWords(row: SettingDescription): string {
  if (row.required) return 'Required.'
  return row.default === '' ? 'Default: not set.' : `Default: ${row.default}`
}

/** Breaks at spaces; a word longer than the width stays whole. */
function wrapped(text: string, width: number): readonly string[] {
  const lines: string[] = []
  let line = ''
  for (const word of text.split(/\s+/)) {
    if (line !== '' && line.length + 1 + word.length > width) {
      lines.push(line)
      line = word
    } else {
      line = line === '' ? word : `${line} ${word}`
    }
  }
  return [...lines, line]
}
