import { loadedOrExit } from './loaded-or-exit.ts'
import type { Program } from './load-settings.ts'
import type { SettingsOf, SettingsSchema } from './setting.ts'

/** For the first line of a `start.ts` that needs nothing but its settings. Ends the process as `loadedOrExit` does. */
export function settingsOrExit<const Schema extends SettingsSchema>(
  schema: Schema,
  program: Program<undefined, SettingsOf<Schema>>,
): SettingsOf<Schema> {
  return loadedOrExit(schema, program).settings
}
