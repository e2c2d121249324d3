import type { SettingsOf, SettingsSchema } from './setting.ts'

/** Every secret that the settings hold, passwords inside URLs included: what a log must be scrubbed of. */
export function secretsOf<Schema extends SettingsSchema>(
  schema: Schema,
  settings: SettingsOf<Schema>,
): readonly string[] {
  const found = Object.entries(schema).flatMap(([name, setting]) => setting.secretsIn(settings[name]))
  return [...new Set(found)]
}
