import { descriptionsTable, type SettingDescription } from '@ipfleet/settings/describe-settings.ts'
import type { ConfigKeys } from './config-key.ts'
import { configTables } from './config-tables.ts'

/** Every key of the file in words, below its table. */
export function describeConfig(): readonly SettingDescription[] {
  return configTables.flatMap(({ title, note, keys }) => describeKeys(note ? `${title} (${note})` : title, keys))
}

function describeKeys(group: string, keys: ConfigKeys): readonly SettingDescription[] {
  return Object.entries(keys).map(([name, { kind, presence, written, help }]) => ({
    name,
    group,
    default: written,
    required: presence.kind === 'required',
    allowed: kind.allowed,
    help,
    secret: false,
    fileName: undefined,
  }))
}

/** The same as Markdown, for a README: a table for each table of the file. */
export function configTablesInMarkdown(): string {
  const parts = configTables.map(({ title, note, keys }) => {
    const heading = note ? `\`${title}\`: ${note}.` : `\`${title}\``
    return `${heading}\n\n${descriptionsTable('Key', describeKeys('', keys))}`
  })
  return parts.join('\n')
}
