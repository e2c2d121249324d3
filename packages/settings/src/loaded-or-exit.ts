import { type LoadedSettings, loadSettings, type Program } from './load-settings.ts'
import type { SettingsOf, SettingsSchema } from './setting.ts'

/**
 * What a program starts with, or the end of the process. `--help` and `--check` print and end with 0; faults are
 * printed to stderr, all at once, and end it with 2. Warnings go to stderr.
 */
export function loadedOrExit<const Schema extends SettingsSchema, Value = undefined>(
  schema: Schema,
  program: Program<Value, SettingsOf<Schema>>,
): LoadedSettings<Schema, Value> {
  const loaded = loadSettings(schema, program)
  if ('warnings' in loaded) for (const warning of loaded.warnings) process.stderr.write(`${warning}\n`)
  if (loaded.kind === 'settings') return loaded
  const stream = loaded.kind === 'faults' ? process.stderr : process.stdout
  stream.write(loaded.text)
  return process.exit(loaded.kind === 'faults' ? 2 : 0)
}
