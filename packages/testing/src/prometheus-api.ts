export interface Target {
  readonly job: string
  readonly health: string
  readonly lastError: string
}

export interface Rule {
  readonly name: string
  readonly type: 'alerting' | 'recording'
  readonly query: string
  readonly health: string
  readonly lastError: string | undefined
}

/** What a running Prometheus says of itself and of its metrics. Every method rejects when it is gone or refuses. */
export interface PrometheusApi {
  targets(): Promise<Target[]>
  rules(): Promise<Rule[]>
  /** Of all metrics that scrapes have told of, with or without series. A counter's may be without its `_total`. */
  scrapedNames(): Promise<string[]>
  /** The values of an instant query, without those that are no number. */
  values(query: string): Promise<number[]>
}

/** Asks the Prometheus at `url`, which has no slash at its end. */
export function prometheusApi(url: string): PrometheusApi {
  async function ask<T>(path: string, query: Readonly<Record<string, string>> = {}): Promise<T> {
    const response = await fetch(`${url}/api/v1/${path}?${new URLSearchParams(query).toString()}`)
    const text = await response.text()
    if (!response.ok) throw new Error(`Prometheus answered ${response.status}: ${text}`)
    const { data }: { data: T } = JSON.parse(text)
    return data
  }
  return {
    targets: async () => {
      const { activeTargets } = await ask<{ activeTargets: RawTarget[] }>('targets', { state: 'active' })
      return activeTargets.map(({ labels, health, lastError }) => ({ job: labels.job, health, lastError }))
    },
    rules: async () => {
      const { groups } = await ask<{ groups: { rules: Rule[] }[] }>('rules')
      return groups.flatMap(({ rules }) => rules)
    },
    scrapedNames: async () => Object.keys(await ask<object>('metadata')),
    values: async (query) => {
      const { result } = await ask<{ result: RawSample[] }>('query', { query })
      return result.map(({ value: [, text] }) => Number(text)).filter((value) => !Number.isNaN(value))
    },
  }
}

interface RawTarget {
  readonly labels: { readonly job: string }
  readonly health: string
  readonly lastError: string
}

interface RawSample {
  readonly value: readonly [atSeconds: number, value: string]
}
