import { type Metric, Registry } from 'prom-client'

/** Loaded before a service, this has it write a line of JSON for each metric that it makes. */

// oxlint-disable-next-line typescript/unbound-method -- called with the registry that it was taken from
const { registerMetric } = Registry.prototype

Registry.prototype.registerMetric = function (metric: Metric): void {
  registerMetric.call(this, metric)
  const { name, help, labelNames = [], constructor } = metric as unknown as Described
  const type = /counter|gauge|histogram|summary/i.exec(constructor.name)?.[0].toLowerCase()
  // The sum of several processes' metrics: not made by the service, and without its labels.
  if (type === undefined) return
  process.stdout.write(`${JSON.stringify({ msg: 'metric', name, help, type, labelNames })}\n`)
}

interface Described {
  readonly name: string
  readonly help: string
  readonly labelNames?: readonly string[]
}
