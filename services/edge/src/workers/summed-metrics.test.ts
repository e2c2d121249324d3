import { afterEach, expect, test } from '@jest/globals'
import { createMetrics } from '@ipfleet/telemetry/metrics.ts'
import { type CountingProcess, SummedMetrics } from './summed-metrics.ts'

const decoded: SummedMetrics[] = []
afterEach(() => {
  for (const metrics of decoded.splice(0)) metrics.close()
})

function summed(options: { readonly everyMs?: number } = {}): SummedMetrics {
  const own = createMetrics({ defaultMetrics: false })
  const metrics = new SummedMetrics({ own, answerWithinMs: 20, everyMs: 60_000, ...options })
  decoded.push(metrics)
  return metrics
}

/** A worker with a counter and a gauge. */
function member() {
  const metrics = createMetrics({ defaultMetrics: false })
  const counter = metrics.hotCounter({ name: 'c_total', help: 'C.', labels: {} }).series({})
  const gauge = metrics.gauge({ name: 'g', help: 'G.' })
  const worker: { snapshot: CountingProcess['snapshot'] } = { snapshot: () => metrics.snapshot() }
  return { worker, counter, gauge, metrics }
}

async function values(metrics: SummedMetrics, ...names: readonly string[]): Promise<(number | undefined)[]> {
  const { body } = await metrics.render()
  return names.map((name) => {
    const found = new RegExp(`^${name} (\\S+)$`, 'm').exec(body)?.[1]
    return found === undefined ? undefined : Number(found)
  })
}

test('what living workers say is added', async () => {
  const metrics = summed()
  for (const count of [1, 2]) {
    const { worker, counter, gauge } = member()
    counter.inc(count)
    gauge.set(10 * count)
    metrics.add(worker)
  }
  expect(await values(metrics, 'c_total', 'g', 'ipfleet_edge_worker_silences_total')).toEqual([3, 30, 0])
})

test('of a worker that ended, what it counted stays, not how things stood', async () => {
  const metrics = summed()
  const { worker, counter, gauge } = member()
  counter.inc(7)
  gauge.set(5)
  metrics.add(worker)
  expect(await values(metrics, 'c_total', 'g')).toEqual([7, 5])
  metrics.remove(worker)
  expect(await values(metrics, 'c_total', 'g')).toEqual([7, undefined])
  const next = member()
  next.counter.inc(1)
  metrics.add(next.worker)
  expect(await values(metrics, 'c_total')).toEqual([8])
})

test('the final snapshot of a worker that was told to stop is all that it counted', async () => {
  const metrics = summed()
  const { worker, counter, metrics: its } = member()
  metrics.add(worker)
  await metrics.render()
  counter.inc(4)
  metrics.remove(worker, await its.snapshot())
  expect(await values(metrics, 'c_total')).toEqual([4])
})

test('a worker that does not answer is counted, and its counters stand still', async () => {
  const metrics = summed()
  const { worker, counter, gauge } = member()
  counter.inc(3)
  gauge.set(5)
  metrics.add(worker)
  await metrics.render()
  worker.snapshot = () => new Promise(() => undefined)
  expect(await values(metrics, 'c_total', 'g', 'ipfleet_edge_worker_silences_total')).toEqual([3, undefined, 1])
})

test('a worker that ends while others are waited for is counted once', async () => {
  const metrics = summed()
  const { worker, counter } = member()
  counter.inc(3)
  const slow = { snapshot: () => new Promise<undefined>(() => undefined) }
  metrics.add(worker)
  metrics.add(slow)
  const rendering = values(metrics, 'c_total')
  await new Promise(setImmediate)
  metrics.remove(worker)
  expect(await rendering).toEqual([3])
})

test('workers are asked from time to time, so that one that is killed leaves its counts without a scrape', async () => {
  const metrics = summed({ everyMs: 5 })
  const { worker, counter } = member()
  counter.inc(3)
  const asked = Promise.withResolvers<void>()
  const snapshot = worker.snapshot
  worker.snapshot = async () => {
    const taken = await snapshot()
    setImmediate(asked.resolve)
    return taken
  }
  metrics.add(worker)
  await asked.promise
  metrics.remove(worker)
  expect(await values(metrics, 'c_total')).toEqual([3])
})
