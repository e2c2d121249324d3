import { loadSettings, type Program } from './load-settings.ts'
import type { SettingsOf, SettingsSchema } from './setting.ts'

/**
 * For the first line of a `main.ts`: the settings, or the end of the process. `--help` and `--check` print and end
 * with 0; faults are printed to stderr, all at once, and end it with 2. Warnings go to stderr.
 */
export function settingsOrExit<const Schema extends SettingsSchema>(
  schema: Schema,
  program: Program,
): SettingsOf<Schema> {
  const loaded = loadSettings(schema, program)
  if ('warnings' in loaded) for (const warning of loaded.warnings) process.stderr.write(`${warning}\n`)
  if (loaded.kind === 'settings') return loaded.settings
  const stream = loaded.kind === 'faults' ? process.stderr : process.stdout
  stream.write(loaded.text)
  return process.exit(loaded.kind === 'faults' ? 2 : 0)
}
