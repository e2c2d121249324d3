import { descriptionsTable, type SettingDescription } from '@ipfleet/settings/describe-settings.ts'
import { describeTable } from '@ipfleet/settings/toml-schema.ts'
import { configTables } from './config-schema.ts'

/** Every key of the file in words, below its table. */
export function describeConfig(): readonly SettingDescription[] {
  return configTables.flatMap(({ title, note, table }) => describeTable(note ? `${title} (${note})` : title, table))
}

/** The same as Markdown, for a README: a table for each table of the file. */
export function configTablesInMarkdown(): string {
  const parts = configTables.map(({ title, note, table }) => {
    const heading = note ? `\`${title}\`: ${note}.` : `\`${title}\``
    return `${heading}\n\n${descriptionsTable('Key', describeTable('', table))}`
  })
  return parts.join('\n')
}
