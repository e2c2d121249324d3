import type { Metrics } from './metrics.ts'

/** One number, or one for each set of labels: their values in the order of the labels, and the number behind them. */
export type Reading = number | Iterable<readonly [...labels: string[], value: number]>

/** A gauge that is read at each scrape. Undefined: it has no value now. */
export function scrapedGauge(
  metrics: Metrics,
  name: string,
  help: string,
  read: () => Reading | Promise<Reading | undefined>,
  ...labels: string[]
) {
  metrics.gauge({
    name,
    help,
    labelNames: labels,
    async collect() {
      const reading = await read()
      this.reset()
      // A reset gauge without labels is 0.
      if (reading === undefined) this.remove({})
      else for (const [of, value] of samples(reading, labels)) this.set(of, value)
    },
  })
}

/** A counter whose count is kept elsewhere, and read at each scrape. */
export function scrapedCounter(metrics: Metrics, name: string, help: string, read: () => Reading, ...labels: string[]) {
  metrics.counter({
    name,
    help,
    labelNames: labels,
    collect() {
      this.reset()
      for (const [of, value] of samples(read(), labels)) this.inc(of, value)
    },
  })
}

function samples(reading: Reading, labels: readonly string[]): [of: Record<string, string>, value: number][] {
  if (typeof reading === 'number') return [[{}, reading]]
  return Array.from(reading, (row) => [
    Object.fromEntries(labels.map((label, index) => [label, String(row[index])])),
    Number(row.at(-1)),
  ])
}
