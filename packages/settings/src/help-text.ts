import { describeSettings, type SettingDescription } from './describe-settings.ts'
import type { SettingsSchema } from './setting.ts'

const lineWidth = 96

export function usageLine(program: string): string {
  return `Usage: ${program} [--help | --check]`
}

/** Everything that can be set, by group, wrapped to 96 columns. Ends in a line end. */
export function helpText(
  schema: SettingsSchema,
  about: { readonly program: string; readonly summary: string },
): string {
  const rows = describeSettings(schema)
  const column = Math.max(0, ...rows.map(({ name }) => name.length)) + 4
  const groups = [...new Set(rows.map(({ group }) => group))]
  const sections = groups.flatMap((group) =>
    ['', `${group}:`].concat(rows.filter((row) => row.group === group).flatMap((row) => entry(row, column))),
  )
  return [
    usageLine(about.program),
    '',
    ...wrapped(about.summary, lineWidth),
    '',
    '  --help, -h   show this text',
    '  --check      check the settings and end: exit code 0 if they are valid, 2 if not',
    '',
    ...wrapped(
      'Settings come from the environment, and from the file .env in the working directory where the environment has ' +
        'none. An empty value counts as not set.',
      lineWidth,
    ),
    ...sections,
    '',
  ].join('\n')
}

function entry(row: SettingDescription, column: number): readonly string[] {
  const lines = [row.help, `Allowed: ${row.allowed}.`, presenceInWords(row)]
  if (row.fileName) lines.push(`${row.fileName} may name a file that holds it instead.`)
  const [first = '', ...others] = lines.flatMap((line) => wrapped(line, lineWidth - column))
  return [`  ${row.name}`.padEnd(column) + first, ...others.map((line) => ' '.repeat(column) + line)]
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
