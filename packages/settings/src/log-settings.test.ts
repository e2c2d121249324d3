import { expect, test } from '@jest/globals'
import { loadSettings } from './load-settings.ts'
import { logLevelOf, logSettings } from './log-settings.ts'

test.each([
  [{}, 'info'],
  [{ RUST_LOG: 'debug' }, 'debug'],
  [{ RUST_LOG: 'off' }, 'silent'],
  [{ RUST_LOG: 'WARN,hyper=debug' }, 'warn'],
  [{ RUST_LOG: 'pingora=debug' }, 'info'],
  [{ RUST_LOG: 'debgu' }, false],
  [{ RUST_LOG: 'off', LOG_LEVEL: 'warn' }, 'warn'],
])('with %j the level is %s', (env, level) => {
  const loaded = loadSettings(logSettings, { program: '', summary: '', argv: [], env, cwd: import.meta.dirname })
  expect(loaded.kind === 'settings' && logLevelOf(loaded.settings)).toBe(level)
})
