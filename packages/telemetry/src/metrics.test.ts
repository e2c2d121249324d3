import { expect, test } from '@jest/globals'
import { Histogram } from 'prom-client'
import { createMetrics } from './metrics.ts'

const quiet = { defaultMetrics: false }

test('a hot counter shows each series with its labels', async () => {
  const metrics = createMetrics(quiet)
  const requests = metrics.hotCounter({
    name: 'ipfleet_requests_total',
    help: 'Requests.',
    labels: { route: ['ip', 'field'], cache: ['l1', 'miss'] },
  })
  const hit = requests.series({ route: 'ip', cache: 'l1' })
  hit.inc()
  hit.inc(2)
  requests.series({ route: 'field', cache: 'miss' }).inc()
  expect((await metrics.render()).body).toBe(`# HELP ipfleet_requests_total Requests.
# TYPE ipfleet_requests_total counter
ipfleet_requests_total{route="ip",cache="l1"} 3
ipfleet_requests_total{route="field",cache="miss"} 1
`)
})

test('a hot histogram cumulates its buckets and speaks seconds', async () => {
  const metrics = createMetrics(quiet)
  const duration = metrics.hotHistogram({ name: 'd_seconds', help: 'D.', labels: {}, bucketsMs: [0.3, 5, 1000] })
  for (const ms of [0.1, 0.3, 4, 2000, Number.NaN, -1]) duration.series({}).observeMs(ms)
  expect((await metrics.render()).body).toBe(`# HELP d_seconds D.
# TYPE d_seconds histogram
d_seconds_bucket{le="0.0003"} 2
d_seconds_bucket{le="0.005"} 3
d_seconds_bucket{le="1"} 3
d_seconds_bucket{le="+Inf"} 4
d_seconds_sum 2.0044
d_seconds_count 4
`)
})

test('the same labels are the same series', () => {
  const counter = createMetrics(quiet).hotCounter({
    name: 'c_total',
    help: 'C.',
    labels: { a: ['x', 'y'], b: ['x', 'y'] },
  })
  expect(counter.series({ a: 'x', b: 'y' })).toBe(counter.series({ b: 'y', a: 'x' }))
  expect(counter.series({ a: 'x', b: 'y' })).not.toBe(counter.series({ a: 'y', b: 'x' }))
})

test('a label value outside its closed set is refused', () => {
  const sets: Record<string, string[]> = { route: ['ip'] }
  const counter = createMetrics(quiet).hotCounter({ name: 'c_total', help: 'C.', labels: sets })
  expect(() => counter.series({ route: '8.8.8.8' })).toThrow(RangeError)
})

test('a name is given once, and a duration is named in seconds', () => {
  const metrics = createMetrics(quiet)
  metrics.counter({ name: 'c_total', help: 'C.' })
  expect(() => metrics.hotCounter({ name: 'c_total', help: 'C.', labels: {} })).toThrow('already been registered')
  expect(() => metrics.hotHistogram({ name: 'd_ms', help: 'D.', labels: {} })).toThrow(RangeError)
})

test('resetting the registry sets hot metrics to zero', async () => {
  const metrics = createMetrics(quiet)
  metrics.hotCounter({ name: 'c_total', help: 'C.', labels: {} }).series({}).inc()
  metrics.hotHistogram({ name: 'd_seconds', help: 'D.', labels: {} }).series({}).observeMs(1)
  metrics.registry.resetMetrics()
  const { body } = await metrics.render()
  expect(body).toContain('c_total 0\n')
  expect(body).toContain('d_seconds_count 0\n')
})

test('everything together is valid exposition text, process metrics included', async () => {
  const metrics = createMetrics()
  metrics
    .counter({ name: 'plain_total', help: 'With "quotes",\nlines and \\.', labelNames: ['l'] })
    .inc({ l: 'a"b\\c\n' })
  metrics.gauge({
    name: 'now',
    help: 'Read when scraped.',
    collect() {
      this.set(7)
    },
  })
  new Histogram({ name: 'plain_seconds', help: 'H.', registers: [metrics.registry] }).observe(0.2)
  metrics
    .hotCounter({ name: 'hot_total', help: 'C.', labels: { l: ['a"b\\c\n'] } })
    .series({ l: 'a"b\\c\n' })
    .inc()
  metrics
    .hotHistogram({ name: 'hot_seconds', help: 'H.', labels: { l: ['x'] } })
    .series({ l: 'x' })
    .observeMs(3)
  const { contentType, body } = await metrics.render()
  expect(contentType).toBe('text/plain; version=0.0.4; charset=utf-8')
  expect(body).toContain('nodejs_eventloop_lag_seconds')
  expect(faults(body)).toEqual([])
})

/** Lines that break Prometheus' text format 0.0.4, samples outside their family, and series given twice. */
function faults(body: string): string[] {
  const label = String.raw`[a-zA-Z_]\w*="(?:[^"\\\n]|\\[\\"n])*"`
  const number = String.raw`(?:[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:e[+-]?\d+)?|NaN|[+-]Inf)`
  const sample = new RegExp(`^([a-zA-Z_:][\\w:]*)(\\{${label}(?:,${label})*\\})? ${number}$`)
  const bad: string[] = body.endsWith('\n') ? [] : ['no line break at the end']
  const seen = new Set<string>()
  let family = ''
  for (const line of body.trimEnd().split('\n')) {
    const comment =
      /^# (?:HELP ([a-zA-Z_:][\w:]*) (?:[^\\\n]|\\[\\n])*|TYPE ([a-zA-Z_:][\w:]*) (?:counter|gauge|histogram|summary|untyped))$/.exec(
        line,
      )
    const match = sample.exec(line)
    const series = `${match?.[1]}${match?.[2]}`
    if (comment) family = comment[1] ?? comment[2] ?? ''
    else if (match && !new RegExp(`^${family}(?:_bucket|_sum|_count)?$`).test(match[1] ?? ''))
      bad.push(`stray: ${line}`)
    else if (match && seen.has(series)) bad.push(`twice: ${line}`)
    else if (!match) bad.push(line)
    seen.add(series)
  }
  return bad
}

test('every process says which version it runs', async () => {
  const { body } = await createMetrics().render()
  expect(body).toMatch(/^ipfleet_build_info\{version="\d+\.\d+\.\d+[^"]*",node_version="\d+[^"]*"\} 1$/m)
})
