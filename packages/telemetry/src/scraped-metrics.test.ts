import { expect, test } from '@jest/globals'
import { createMetrics } from './metrics.ts'
import { scrapedCounter, scrapedGauge } from './scraped-metrics.ts'

test('what is scraped is what is there then, by all labels, and what has gone is told no more', async () => {
  const metrics = createMetrics({ defaultMetrics: false })
  const counts = new Map([['a', 1]])
  let open: number | undefined = 3
  scrapedGauge(metrics, 'open', 'Open.', async () => open)
  scrapedCounter(metrics, 'counts_total', 'Counts.', () => counts, 'of')
  scrapedGauge(metrics, 'both', 'Both.', () => [['x', 'y', 2]], 'one', 'other')
  const lines = async (): Promise<string[]> => {
    const { body } = await metrics.render()
    return body.split('\n').filter((line) => line !== '' && !line.startsWith('#'))
  }
  expect(await lines()).toEqual(['open 3', 'counts_total{of="a"} 1', 'both{one="x",other="y"} 2'])
  open = 4
  counts.delete('a')
  counts.set('b', 2)
  expect(await lines()).toEqual(['open 4', 'counts_total{of="b"} 2', 'both{one="x",other="y"} 2'])
  open = undefined
  expect(await lines()).not.toContainEqual(expect.stringMatching(/^open/))
  open = 5
  expect(await lines()).toContain('open 5')
})
