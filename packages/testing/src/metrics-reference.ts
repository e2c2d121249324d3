import type { LogLine } from './service-process.ts'

/** A metric as the preload of telemetry's tests writes it when a service makes it. */
interface DescribedMetric {
  readonly name: string
  readonly help: string
  readonly type: string
  readonly labelNames: readonly string[]
}

/** The metrics of a service as a table for its README. Those of Node and of the process are the same for all. */
export function metricsTable(lines: readonly LogLine[]): string {
  const metrics = lines.filter(({ msg }) => msg === 'metric') as unknown as DescribedMetric[]
  const own = metrics.filter(({ name }) => !/^(?:nodejs|process)_/.test(name))
  const byName = new Map(own.map((metric) => [metric.name, metric]))
  const rows = [...byName.values()]
    .toSorted((one, other) => (one.name < other.name ? -1 : 1))
    .map(({ name, type, labelNames, help }) => {
      const labels = labelNames.map((label) => `\`${label}\``).join(', ')
      return `| \`${name}\` | ${type} | ${labels} | ${help.replace(/\.$/, '').replaceAll('|', '\\|')} |\n`
    })
  return `| metric | type | labels | what it is |\n| --- | --- | --- | --- |\n${rows.join('')}`
}
