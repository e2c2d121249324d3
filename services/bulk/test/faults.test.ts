import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { until } from '@ipfleet/testing/until.ts'
import { addresses } from '@ipfleet/testing/public-addresses.ts'
import { BulkHarness, keys } from './bulk-harness.ts'

const lineCount = 100_000
/** Of each key, for two runs: without a quota of its own, a key of the fake states fewer. */
const monthlyQuota = 1_000_000
const timeoutMs = 150_000

/** With duplicates, IPv6 and lines that hold no address among them. */
const lines = addresses(lineCount).map((address, at) => {
  if (at % 50 === 0) return `no address ${at}`
  if (at % 10 === 1) return `2001:db9::${(at % 5000).toString(16)}`
  return address
})

let harness: BulkHarness

beforeAll(async () => {
  harness = await BulkHarness.start({
    services: 2,
    replicas: 2,
    fake: { latencyMs: 20, keys: Object.fromEntries(keys.map((key) => [key, { monthlyQuota }])) },
    lookupEnv: { COOLDOWN_SECONDS: '1', BREAKER_OPEN_SECONDS: '1' },
    redisArgs: ['--appendonly', 'yes'],
  })
}, 60_000)

afterAll(() => harness.stop())

test(
  'workers killed, Redis restarted, keys over their limit: the same bytes as without',
  async () => {
    const body = lines.join('\n')
    const undisturbed = await harness.post(body)
    await harness.waitFor(undisturbed, 'completed', timeoutMs)
    const expected = await harness.results(undisturbed)
    await harness.forgetAnswers()

    const id = await harness.post(body)
    await beyond(id, 0.05)
    await killWorker(1)
    const heal = harness.fake.behave({ kind: '429-storm' })
    setTimeout(heal, 5000)
    await beyond(id, 0.3)
    await killWorker(1)
    await beyond(id, 0.5)
    await harness.redis.restart()
    await harness.waitFor(id, 'completed', timeoutMs)

    const results = await harness.results(id)
    expect(results.split('\n')).toHaveLength(lineCount + 1)
    expect(results === expected).toBe(true)
    expect(await harness.job(id)).toMatchObject({
      lines: { total: lineCount, done: lineCount, errors: lineCount / 50 },
      errors: { wrong_ip: lineCount / 50 },
    })
  },
  2 * timeoutMs,
)

/** Until that share of the lines has results. */
function beyond(id: string, share: number): Promise<unknown> {
  return until(async () => {
    // While Redis is away there is no job to be seen.
    const job = await harness.job(id).catch(() => undefined)
    return job !== undefined && job.lines.done > share * lineCount
  }, timeoutMs)
}

/** SIGKILL to a process of the service, and another one in its place. */
async function killWorker(at: number): Promise<void> {
  const worker = harness.services[at]
  worker?.kill('SIGKILL')
  await worker?.exited
  harness.services[at] = await harness.join()
}
