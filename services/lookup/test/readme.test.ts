import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { expect, test } from '@jest/globals'
import { settingsTable } from '@ipfleet/settings/describe-settings.ts'
import { readmeSection } from '@ipfleet/testing/readme-section.ts'
import { settingsSchema } from '../src/settings.ts'
import { startLocalFleet } from './local-fleet.ts'

const readme = new URL('../README.md', import.meta.url)

test('the README lists every setting as it is (UPDATE_README=1 npm test -- readme.test writes it)', () => {
  const table = `\n${settingsTable(settingsSchema)}\n`
  expect(readmeSection({ readme, begin: 'settings: lookup', end: 'end of settings' }, table)).toBe(table)
})

test('what the first README tells users of node-ipinfo points it at a replica', async () => {
  await using fleet = await startLocalFleet({ keys: ['a-key'] })
  const markdown = readFileSync(new URL('../../../README.md', import.meta.url), 'utf8')
  const [, script = ''] = /```js\n([^]*?)```/.exec(markdown) ?? []
  const { stdout } = await promisify(execFile)(
    process.execPath,
    ['--input-type=module', '--eval', script.replace('http://localhost:8080', String(fleet.replicas[0]?.url))],
    { cwd: fileURLToPath(new URL('..', import.meta.url)) }, // where its import is found
  )
  expect(stdout).toBe('Mountain View\n')
  expect(fleet.fake.calls).toMatchObject([{ token: 'a-key' }])
})
