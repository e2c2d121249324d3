import type { MetricSnapshot, MetricsSnapshot } from './metrics-snapshot.ts'

/** What a scrape can be answered in: Prometheus' own text format (0.0.4), or OpenMetrics 1.0.0. */
export type ExpositionFormat = 'prometheus' | 'openmetrics'

export interface Exposition {
  readonly contentType: string
  readonly body: string
}

const contentTypes: Readonly<Record<ExpositionFormat, string>> = {
  prometheus: 'text/plain; version=0.0.4; charset=utf-8',
  openmetrics: 'application/openmetrics-text; version=1.0.0; charset=utf-8',
}

/** The format that a scraper's Accept (RFC 9110 §12.5.1) asks for: OpenMetrics where it is named and not liked less. */
export function expositionFormat(accept: string | undefined): ExpositionFormat {
  let [open, plain] = [0, 0]
  for (const range of accept?.toLowerCase().split(',') ?? []) {
    const [type, ...parameters] = range.split(';').map((part) => part.trim())
    const quality = Number(parameters.find((parameter) => parameter.startsWith('q='))?.slice(2) ?? 1)
    const version = parameters.find((parameter) => parameter.startsWith('version='))?.slice('version='.length)
    const isKnown = version === undefined || version.replaceAll('"', '') === '1.0.0'
    if (type === 'application/openmetrics-text' && isKnown) open = Math.max(open, quality)
    if (type === 'text/plain') plain = Math.max(plain, quality)
  }
  return open > 0 && open >= plain ? 'openmetrics' : 'prometheus'
}

/**
 * Metrics as text. prom-client 15.1.3 writes OpenMetrics too, but renames the metrics of its registry for it, and its
 * bounds of buckets (`le="1"`) are no canonical numbers, which strict parsers refuse.
 */
export function exposition(metrics: MetricsSnapshot, format: ExpositionFormat = 'prometheus'): Exposition {
  const families = metrics.map((metric) => family(metric, format))
  return { contentType: contentTypes[format], body: families.join('') + (format === 'openmetrics' ? '# EOF\n' : '') }
}

function family({ name, help, type, values }: MetricSnapshot, format: ExpositionFormat): string {
  const isOpen = format === 'openmetrics'
  const isCounter = isOpen && type === 'counter'
  // OpenMetrics names the family without `_total`, and has counters with that suffix only.
  const isTotal = name.endsWith('_total')
  const ofFamily = isCounter && isTotal ? name.slice(0, -'_total'.length) : name
  const typeName = isCounter && !isTotal ? 'unknown' : type
  const samples = values.map(({ metricName = name, labels, value }) => {
    return `${metricName}${labelSet(labels, isOpen)} ${numeral(value)}\n`
  })
  return `# HELP ${ofFamily} ${isOpen ? escaped(help) : escapedHelp(help)}\n# TYPE ${ofFamily} ${typeName}\n${samples.join('')}`
}

function labelSet(labels: Readonly<Record<string, string | number>>, isOpen: boolean): string {
  const pairs = Object.entries(labels).map(([name, value]) => {
    return `${name}="${escaped(name === 'le' && isOpen ? bound(value) : String(value))}"`
  })
  return pairs.length === 0 ? '' : `{${pairs.join(',')}}`
}

/** OpenMetrics 1.0.0, "Numbers": a bound is written as a float, `1.0`. */
function bound(value: string | number): string {
  return /^-?\d+$/.test(String(value)) ? `${value}.0` : String(value)
}

function numeral(value: number): string {
  if (Number.isNaN(value)) return 'NaN'
  if (!Number.isFinite(value)) return value > 0 ? '+Inf' : '-Inf'
  return String(value)
}

function escapedHelp(text: string): string {
  return text.replaceAll('\\', String.raw`\\`).replaceAll('\n', String.raw`\n`)
}

function escaped(text: string): string {
  return escapedHelp(text).replaceAll('"', String.raw`\"`)
}
