import { expect, test } from '@jest/globals'
import { integer, secret, secretList } from './kinds.ts'
import { url } from './url-setting.ts'
import { loadSettings } from './load-settings.ts'
import { secretsOf } from './secrets-of.ts'

const schema = {
  PORT: integer({ default: 8080, help: '' }),
  KEYS: secretList({ optional: true, help: '' }),
  TOKEN: secret({ optional: true, help: '' }),
  REDIS_URL: url({ protocols: ['redis:'], optional: true, help: '' }),
}

function secretsFrom(env: Record<string, string>) {
  const loaded = loadSettings(schema, { program: '', summary: '', argv: [], env, cwd: import.meta.dirname })
  if (loaded.kind !== 'settings') throw new Error(loaded.kind)
  return secretsOf(schema, loaded.settings)
}

test('every secret is named once, passwords inside URLs included', () => {
  const env = { PORT: '81', KEYS: 'k1,k2', TOKEN: 'k1', REDIS_URL: 'redis://user:p%21@host' }
  expect(secretsFrom(env)).toEqual(['k1', 'k2', 'p%21', 'p!'])
})

test('what is not set has no secrets', () => {
  expect(secretsFrom({})).toEqual([])
})
