import type { ProxyError } from '@ipfleet/core/proxy-error.ts'
import type { HotCounter, HotHistogram } from '@ipfleet/telemetry/hot-metrics.ts'
import type { Metrics } from '@ipfleet/telemetry/metrics.ts'
import { type AnswerEnd, answerEnds as ends, endOf, type ItemCounts } from '../lookup/answered.ts'

export type RouteClass = 'lookup' | 'account' | 'batch'

const labels = {
  route: ['lookup', 'account', 'batch'],
  status: ['1xx', '2xx', '3xx', '4xx', '5xx'],
  cache: ends,
} as const

/** Whether a client waits for a batch, or its sender can ask again later, as bulk does. */
const senders = ['client', 'background'] as const

type StatusClass = (typeof labels.status)[number]

/** How many requests ended how: the source of `/stats` and of the request metrics. */
export class RequestRecord {
  readonly counts: Record<AnswerEnd, number>
  /** Look-ups of single records, for which a client waits. */
  live = 0
  /** Requests that found all keys benched and nothing to answer with. */
  keysExhausted = 0
  /** Look-ups by their end, those in batches too; hits in memory that `addMemoryHit` was told of are in `live` only. */
  readonly #lookUps: Record<AnswerEnd, number>
  #singlesInLookUps = 0
  readonly #requests: HotCounter<typeof labels>
  readonly #durations: HotHistogram<Pick<typeof labels, 'route' | 'cache'>>
  readonly #items: HotCounter<{ readonly cache: typeof ends; readonly sender: typeof senders }>
  readonly #memoryHit: { inc(): void }
  readonly #memoryHitDuration: { observeMs(durationMs: number): void }

  constructor(metrics: Metrics) {
    this.counts = noneOfEach()
    this.#lookUps = noneOfEach()
    this.#requests = metrics.hotCounter({
      name: 'ipfleet_requests_total',
      help: 'Requests by route, status class and where the answer came from.',
      labels,
    })
    this.#durations = metrics.hotHistogram({
      name: 'ipfleet_request_duration_seconds',
      help: 'Time to answer by route and where the answer came from.',
      labels: { route: labels.route, cache: ends },
    })
    this.#items = metrics.hotCounter({
      name: 'ipfleet_batch_items_total',
      help: 'Items of batches by where their answer came from, and by whether a client waits for it.',
      labels: { cache: ends, sender: senders },
    })
    this.#memoryHit = this.#requests.series({ route: 'lookup', status: '2xx', cache: 'l1' })
    this.#memoryHitDuration = this.#durations.series({ route: 'lookup', cache: 'l1' })
  }

  get total(): number {
    return ends.reduce((sum, end) => sum + this.counts[end], 0)
  }

  /** Single look-ups and items of batches, by where their answers came from. */
  get lookUps(): Readonly<Record<AnswerEnd, number>> {
    return { ...this.#lookUps, l1: this.#lookUps.l1 + this.live - this.#singlesInLookUps }
  }

  add(route: RouteClass, status: number, end: AnswerEnd, durationMs: number): void {
    this.counts[end] += 1
    if (route === 'lookup') {
      this.live += 1
      this.#lookUps[end] += 1
      this.#singlesInLookUps += 1
    }
    this.#requests.series({ route, status: statusClass(status), cache: end }).inc()
    this.#durations.series({ route, cache: end }).observeMs(durationMs)
  }

  /** @returns how it ended */
  addFailed(route: RouteClass, error: ProxyError, durationMs: number): AnswerEnd {
    const end = endOf(error)
    if (error.code === 'keys_exhausted') this.keysExhausted += 1
    this.add(route, error.status, end, durationMs)
    return end
  }

  addItems(items: ItemCounts, sender: (typeof senders)[number]): void {
    for (const end of ends) {
      if (items[end] === undefined) continue
      this.#lookUps[end] += items[end]
      this.#items.series({ cache: end, sender }).inc(items[end])
    }
  }

  /** The same for the most frequent case, without looking anything up. */
  addMemoryHit(durationMs: number): void {
    this.counts.l1 += 1
    this.live += 1
    this.#memoryHit.inc()
    this.#memoryHitDuration.observeMs(durationMs)
  }
}

const noneOfEach = (): Record<AnswerEnd, number> =>
  Object.fromEntries(ends.map((end) => [end, 0])) as Record<AnswerEnd, number>

function statusClass(status: number): StatusClass {
  return `${Math.floor(status / 100)}xx` as StatusClass
}
