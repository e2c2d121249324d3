import { expect, test } from '@jest/globals'
import { loadSettings } from './load-settings.ts'
import { serverSettings } from './server-settings.ts'

function hostOf(HOST: string): string | undefined {
  const command = { program: '', summary: '', argv: [], env: { HOST }, cwd: import.meta.dirname }
  const loaded = loadSettings(serverSettings(8080), command)
  return loaded.kind === 'settings' ? loaded.settings.HOST : undefined
}

test.each(['127.0.0.1', '::', 'fe80::1%eth0', 'localhost', 'replica-1.my_fleet', '0'])('HOST=%s is kept', (given) => {
  expect(hostOf(given)).toBe(given)
})

test('HOST may be IPv6 as in a URL', () => {
  expect(hostOf('[::1]')).toBe('::1')
})

test.each(['127.0.0.1:80', 'http://localhost', '*', ':8080', '[::1]:80', '256.1.1.1', '10.0.0.0/8', 'a b'])(
  'HOST=%s is refused',
  (given) => {
    expect(hostOf(given)).toBeUndefined()
  },
)
