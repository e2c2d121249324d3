import { expect, test } from '@jest/globals'
import { Histogram } from 'prom-client'
import { createMetrics } from './metrics.ts'
import { exposition } from './exposition.ts'
import { countedIn, type MetricsSnapshot, sumSnapshots } from './metrics-snapshot.ts'

const quiet = { defaultMetrics: false }

/** One process of several that all count the same. */
function member() {
  const metrics = createMetrics(quiet)
  const requests = metrics.hotCounter({ name: 'r_total', help: 'R.', labels: { to: ['a', 'b'] } })
  const durations = metrics.hotHistogram({ name: 'd_seconds', help: 'D.', labels: { of: ['x'] }, bucketsMs: [1, 50] })
  const open = metrics.gauge({ name: 'open', help: 'O.' })
  const up = metrics.gauge({ name: 'up', help: 'U.', labelNames: ['backend'], aggregator: 'min' })
  return { metrics, requests, durations, open, up }
}

const renderSum = (snapshots: readonly MetricsSnapshot[]) => exposition(sumSnapshots(snapshots))

test('what several processes counted is added series by series, buckets too', async () => {
  const [one, two] = [member(), member()]
  one.requests.series({ to: 'a' }).inc(2)
  two.requests.series({ to: 'a' }).inc(3)
  two.requests.series({ to: 'b' }).inc()
  for (const ms of [0.5, 30]) one.durations.series({ of: 'x' }).observeMs(ms)
  for (const ms of [30, 99]) two.durations.series({ of: 'x' }).observeMs(ms)
  one.open.set(4)
  two.open.set(5)
  one.up.set({ backend: 'b' }, 1)
  two.up.set({ backend: 'b' }, 0)
  const { contentType, body } = renderSum(await snapshotsOf(one, two))
  expect(contentType).toBe('text/plain; version=0.0.4; charset=utf-8')
  expect(body).toBe(`# HELP r_total R.
# TYPE r_total counter
r_total{to="a"} 5
r_total{to="b"} 1
# HELP d_seconds D.
# TYPE d_seconds histogram
d_seconds_bucket{of="x",le="0.001"} 1
d_seconds_bucket{of="x",le="0.05"} 3
d_seconds_bucket{of="x",le="+Inf"} 4
d_seconds_sum{of="x"} 0.1595
d_seconds_count{of="x"} 4
# HELP open O.
# TYPE open gauge
open 9
# HELP up U.
# TYPE up gauge
up{backend="b"} 0
`)
})

test('what was read when it was scraped, and a plain histogram, add up too', async () => {
  const snapshots = [1, 2].map((count) => {
    const metrics = createMetrics(quiet)
    metrics.counter({
      name: 'c_total',
      help: 'C.',
      collect() {
        this.reset()
        this.inc(count)
      },
    })
    new Histogram({ name: 'h', help: 'H.', buckets: [1], registers: [metrics.registry] }).observe(count)
    return metrics.snapshot()
  })
  const { body } = renderSum(await Promise.all(snapshots))
  expect(body).toContain('c_total 3\n')
  expect(body).toContain('h_bucket{le="1"} 1\nh_bucket{le="+Inf"} 2\nh_sum 3\nh_count 2\n')
})

test('a snapshot survives the way to another process, and the sum of sums is the sum', async () => {
  const [one, two] = [member(), member()]
  one.requests.series({ to: 'a' }).inc()
  two.durations.series({ of: 'x' }).observeMs(7)
  const snapshots = await snapshotsOf(one, two)
  const inTwoSteps = [sumSnapshots(snapshots.slice(0, 1)), ...structuredClone(snapshots.slice(1))]
  expect(renderSum(inTwoSteps).body).toBe(renderSum(snapshots).body)
})

test('of a process that has ended, what it counted stays', async () => {
  const { metrics, requests, open } = member()
  requests.series({ to: 'a' }).inc()
  open.set(3)
  expect(countedIn(await metrics.snapshot()).map(({ name }) => name)).toEqual(['r_total', 'd_seconds'])
})

test('what was not measured yet is left out instead of spoiling the average', async () => {
  const snapshots = [Number.NaN, 2, 4].map((value) => {
    const metrics = createMetrics(quiet)
    metrics.gauge({ name: 'lag', help: 'L.', aggregator: 'average' }).set(value)
    return metrics.snapshot()
  })
  expect(renderSum(await Promise.all(snapshots)).body).toContain('lag 3\n')
})

test("the process's own metrics add up: memory and CPU as sums, the version once, no start time", async () => {
  const metrics = createMetrics()
  const snapshot = await metrics.snapshot()
  const { body } = renderSum([snapshot, snapshot])
  const bytes = snapshot.find(({ name }) => name === 'process_resident_memory_bytes')?.values[0]?.value ?? 0
  expect(body).toContain(`process_resident_memory_bytes ${2 * bytes}\n`)
  expect(body).toMatch(/^nodejs_version_info\{.*\} 1$/m)
  expect(body).not.toContain('process_start_time_seconds')
})

function snapshotsOf(...members: readonly ReturnType<typeof member>[]) {
  return Promise.all(members.map(({ metrics }) => metrics.snapshot()))
}
