import { expect, test } from '@jest/globals'
import { loadSettings } from '@ipfleet/settings/load-settings.ts'
import { logLevelOf, settingsSchema } from './settings.ts'

test.each([
  [{}, 'info'],
  [{ RUST_LOG: 'debug' }, 'debug'],
  [{ RUST_LOG: 'off' }, 'silent'],
  [{ RUST_LOG: 'off', LOG_LEVEL: 'warn' }, 'warn'],
])('with %j the level is %s', (env, level) => {
  const loaded = loadSettings(settingsSchema, { program: '', summary: '', argv: [], env, cwd: import.meta.dirname })
  expect(loaded.kind === 'settings' && logLevelOf(loaded.settings)).toBe(level)
})
