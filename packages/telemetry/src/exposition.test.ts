import { expect, test } from '@jest/globals'
import { exposition, expositionFormat } from './exposition.ts'
import { createMetrics } from './metrics.ts'

const prometheus3 =
  'application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,application/openmetrics-text;version=0.0.1;q=0.5,' +
  'text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2'

test.each([
  [undefined, 'prometheus'],
  ['*/*', 'prometheus'],
  ['text/plain', 'prometheus'],
  ['application/openmetrics-text', 'openmetrics'],
  ['application/openmetrics-text; version=1.0.0', 'openmetrics'],
  ['Application/OpenMetrics-Text; version="1.0.0"; charset=utf-8', 'openmetrics'],
  [prometheus3, 'openmetrics'],
  ['application/openmetrics-text; version=0.0.1', 'prometheus'],
  ['application/openmetrics-text;q=0, */*', 'prometheus'],
  ['application/openmetrics-text;q=0.3, text/plain;q=0.5', 'prometheus'],
  ['text/html', 'prometheus'],
])('Accept: %s is answered in the format of %s', (accept, format) => {
  expect(expositionFormat(accept)).toBe(format)
})

test('OpenMetrics names counters without _total, bounds as floats, and says where it ends', async () => {
  const metrics = createMetrics({ defaultMetrics: false })
  metrics.counter({ name: 'asked_total', help: 'Asked "here".', labelNames: ['l'] }).inc({ l: 'a"b\\c\nd' })
  metrics.gauge({ name: 'now', help: 'N.' }).set(Infinity)
  metrics.gauge({ name: 'unknown', help: 'U.' }).set(NaN)
  const duration = metrics.hotHistogram({ name: 'd_seconds', help: 'D.', labels: {}, bucketsMs: [5, 1000] })
  duration.series({}).observeMs(4)
  const { contentType, body } = await metrics.render('openmetrics')
  expect(contentType).toBe('application/openmetrics-text; version=1.0.0; charset=utf-8')
  expect(body).toBe(`# HELP asked Asked \\"here\\".
# TYPE asked counter
asked_total{l="a\\"b\\\\c\\nd"} 1
# HELP now N.
# TYPE now gauge
now +Inf
# HELP unknown U.
# TYPE unknown gauge
# HELP d_seconds D.
# TYPE d_seconds histogram
d_seconds_bucket{le="0.005"} 1
d_seconds_bucket{le="1.0"} 1
d_seconds_bucket{le="+Inf"} 1
d_seconds_sum 0.004
d_seconds_count 1
# EOF
`)
})

test('a counter that is not named as one is no counter in OpenMetrics, which would rename it', () => {
  const odd = { name: 'odd', help: 'O.', type: 'counter', aggregator: 'sum', values: [{ labels: {}, value: 1 }] }
  expect(exposition([odd], 'openmetrics').body).toBe('# HELP odd O.\n# TYPE odd unknown\nodd 1\n# EOF\n')
})
