import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from '@jest/globals'
import { queueConnection } from '@ipfleet/redis/connection.ts'
import { BulkHarness } from './bulk-harness.ts'

interface PreviousRelease {
  readonly job: string
  readonly lines: number
  readonly commands: readonly (readonly [key: string, command: string, ...base64: string[]])[]
}

async function previousRelease(): Promise<PreviousRelease> {
  const file = join(import.meta.dirname, 'fixture-previous-release.json')
  return JSON.parse(await readFile(file, 'utf8')) as PreviousRelease
}

test('a job of the previous release and its queue are taken over, once, by processes that start together', async () => {
  const { job, lines, commands } = await previousRelease()
  await using harness = await BulkHarness.start({ services: 0 })
  const client = queueConnection({ url: harness.redis.url }, 'test')
  for (const [key, command, ...args] of commands) {
    await client.call(command, key, ...args.map((text) => Buffer.from(text, 'base64')))
  }
  client.disconnect()
  await Promise.all([harness.join(), harness.join()])
  const ended = await harness.waitFor(job, 'completed')
  expect(ended.lines).toMatchObject({ total: lines, done: lines, errors: 0 })
  const inputs = (await harness.results(job))
    .trim()
    .split('\n')
    .map((line) => (JSON.parse(line) as { input: string }).input)
  expect([inputs.length, new Set(inputs).size]).toEqual([lines, lines])
  expect(harness.askedUpstream().length).toBe(lines)
})
