import { expect } from '@jest/globals'
import { until } from '@ipfleet/testing/until.ts'
import { addresses } from '@ipfleet/testing/public-addresses.ts'
import { BulkHarness, keys } from './bulk-harness.ts'

/** Of each key, for two runs: without a quota of its own, a key of the fake states fewer. */
const monthlyQuota = 1_000_000

export interface FaultsOptions {
  readonly lineCount: number
  /** Of upstream's answers: the job is to last until the last fault. */
  readonly latencyMs: number
  /** For each of two runs of the job. */
  readonly timeoutMs: number
}

/**
 * A job during which workers are killed, Redis is started again and all keys are over their limit has the same bytes as
 * one without.
 */
export async function expectTheSameBytes({ lineCount, latencyMs, timeoutMs }: FaultsOptions): Promise<void> {
  const harness = await BulkHarness.start({
    services: 2,
    replicas: 2,
    fake: { latencyMs, keys: Object.fromEntries(keys.map((key) => [key, { monthlyQuota }])) },
    lookupEnv: { COOLDOWN_SECONDS: '1', BREAKER_OPEN_SECONDS: '1' },
    redisArgs: ['--appendonly', 'yes'],
  })
  try {
    const body = linesOf(lineCount).join('\n')
    const undisturbed = await harness.post(body)
    await harness.waitFor(undisturbed, 'completed', timeoutMs)
    const expected = await harness.results(undisturbed)
    await harness.forgetAnswers()

    const id = await harness.post(body)
    const beyond = (share: number): Promise<unknown> => untilDone(harness, id, share * lineCount, timeoutMs)
    await beyond(0.05)
    await killWorker(harness, 1)
    const heal = harness.fake.behave({ kind: '429-storm' })
    setTimeout(heal, 5000)
    await beyond(0.3)
    await killWorker(harness, 1)
    await beyond(0.5)
    await harness.redis.restart()
    await harness.waitFor(id, 'completed', timeoutMs)

    const results = await harness.results(id)
    expect(results.split('\n')).toHaveLength(lineCount + 1)
    expect(results === expected).toBe(true)
    expect(await harness.job(id)).toMatchObject({
      lines: { total: lineCount, done: lineCount, errors: lineCount / 50 },
      errors: { wrong_ip: lineCount / 50 },
    })
  } finally {
    await harness.stop()
  }
}

/** With duplicates, IPv6 and lines that hold no address among them. */
function linesOf(count: number): string[] {
  return addresses(count).map((address, at) => {
    if (at % 50 === 0) return `no address ${at}`
    if (at % 10 === 1) return `2001:db9::${(at % 5000).toString(16)}`
    return address
  })
}

/** Until so many lines have results. */
function untilDone(harness: BulkHarness, id: string, lines: number, timeoutMs: number): Promise<unknown> {
  return until(async () => {
    // While Redis is away there is no job to be seen.
    const job = await harness.job(id).catch(() => undefined)
    return job !== undefined && job.lines.done > lines
  }, timeoutMs)
}

/** SIGKILL to a process of the service, and another one in its place. */
async function killWorker(harness: BulkHarness, at: number): Promise<void> {
  const worker = harness.services[at]
  worker?.kill('SIGKILL')
  await worker?.exited
  harness.services[at] = await harness.join()
}
