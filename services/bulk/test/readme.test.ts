import { readFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { settingsTable } from '@ipfleet/settings/describe-settings.ts'
import { readmeSection } from '@ipfleet/testing/readme-section.ts'
import { type GuardedChild, spawnGuarded } from '@ipfleet/testing/service-process-child.ts'
import { likelyFreePort } from '@ipfleet/testing/service-process-port.ts'
import { until } from '@ipfleet/testing/until.ts'
import { settingsSchema } from '../src/settings.ts'
import { BulkHarness } from './bulk-harness.ts'

const readme = new URL('../README.md', import.meta.url)

test('the README lists every setting as it is (UPDATE_README=1 npm test -- readme.test writes it)', () => {
  const table = `\n${settingsTable(settingsSchema)}\n`
  expect(readmeSection({ readme, begin: 'settings: bulk', end: 'end of settings' }, table)).toBe(table)
})

const secret = Buffer.alloc(32, 'a secret').toString('base64')
const port = likelyFreePort()
const receiverUrl = `http://127.0.0.1:${port}/hooks`
const written: string[] = []
let receiver: GuardedChild
let harness: BulkHarness

beforeAll(async () => {
  const [, script = ''] = /```js\n([^]*?)```/.exec(readFileSync(readme, 'utf8')) ?? []
  receiver = await spawnGuarded(process.execPath, {
    args: ['--input-type=module', '--eval', script.replace('9000', String(port))],
    env: { PATH: process.env['PATH'] ?? '', HOME: homedir(), WEBHOOK_SECRET: secret },
    cwd: fileURLToPath(new URL('..', import.meta.url)), // where its import is found
  })
  receiver.onLine((line) => written.push(line))
  harness = await BulkHarness.start({ bulkEnv: { WEBHOOK_SECRET: secret, ALLOW_TARGETS: '127.0.0.1' } })
})
afterAll(async () => {
  await receiver.stop()
  await harness.stop()
})

test('its receiver of webhooks takes what the service sends, and nothing else', async () => {
  const id = await harness.post('8.8.8.8\n', `?callback=${receiverUrl}`)
  await until(() => written.includes(`${id} is completed`))
  const forged = await fetch(receiverUrl, { method: 'POST', body: JSON.stringify({ id, state: 'completed' }) })
  expect(forged.status).toBe(400)
  expect(written).toEqual([`${id} is completed`])
})
