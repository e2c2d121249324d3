import { fileSuffix, type Setting, type SettingsSchema } from './setting.ts'

/** One thing that can be set, in words, for help texts and generated tables. */
export interface SettingDescription {
  readonly name: string
  readonly group: string
  /** As an operator would write it; `''` when there is none. */
  readonly default: string
  readonly required: boolean
  readonly allowed: string
  readonly help: string
  readonly secret: boolean
  /** The variable that may name a file with the value. */
  readonly fileName: string | undefined
}

export function describeSettings(schema: SettingsSchema): readonly SettingDescription[] {
  return Object.entries(schema).map(([name, setting]) => ({
    name,
    group: setting.group,
    default: defaultOf(setting),
    required: setting.presence.kind === 'required',
    allowed: setting.allowed,
    help: setting.help,
    secret: setting.secret,
    fileName: setting.fromFile ? `${name}${fileSuffix}` : undefined,
  }))
}

function defaultOf(setting: Setting<unknown>): string {
  return setting.presence.kind === 'default' && !setting.secret ? setting.show(setting.presence.value) : ''
}

/** The settings as a Markdown table, for a README. */
export function settingsTable(schema: SettingsSchema): string {
  return descriptionsTable('Setting', describeSettings(schema))
}

/** What can be set as a Markdown table; `heading` is that of the column of names. */
export function descriptionsTable(heading: string, descriptions: readonly SettingDescription[]): string {
  const rows = descriptions.map((row) => {
    const names = [row.name, ...(row.fileName ? [row.fileName] : [])].map((name) => `\`${name}\``).join(', ')
    const preset = row.default === '' ? (row.required ? 'required' : '') : `\`${row.default}\``
    return [names, preset, row.allowed, row.help]
  })
  const lines = [[heading, 'Default', 'Allowed', 'Meaning'], ['---', '---', '---', '---'], ...rows]
  return lines.map((cells) => `| ${cells.map(escaped).join(' | ')} |\n`).join('')
}

function escaped(cell: string): string {
  return cell.replaceAll('\\', '\\\\').replaceAll('|', '\\|').replaceAll('\n', ' ')
}
