import { withoutBudget } from '@ipfleet/redis/request-budget.ts'
import { linkHealth } from '@ipfleet/redis/link-health.ts'
import type { RedisLink } from '@ipfleet/redis/redis-link.ts'
import type { BreakerRow, ClientRow, ConsoleKey, Flow, Overview, RedisRow, ServiceRow } from '../contract.ts'
import { type FlowRecorder, sumOf } from '../flow/flow-recorder.ts'
import { goneAfterMs } from '../presence/presence.ts'
import type { PresenceRecord, SeenRecord } from '../presence/presence-record.ts'
import { readPresence } from '../presence/read-presence.ts'
import { emptyOn } from './forecast.ts'
import { verdictOf } from './verdict.ts'

/** What the replica that serves the console knows. */
export interface OverviewSources {
  readonly redis: { readonly state: RedisLink; readonly cache: RedisLink } | undefined
  /** Milliseconds since 1970, alike for all replicas. */
  readonly epochMs: () => number
  readonly flow: FlowRecorder
  /** What an upstream unit costs. */
  readonly price: { readonly perUnit: number; readonly currency: string } | undefined
  readonly keys: () => Promise<readonly ConsoleKey[]>
  readonly clients: () => Promise<readonly ClientRow[]>
  readonly offlineWarning: () => string | undefined
  /** This replica itself: all there is without Redis. */
  readonly self: () => Promise<PresenceRecord>
}

/** Views that are asked for together are made once. */
const sharedForMs = 500

export class Overviews {
  readonly #sources: OverviewSources
  #latest: { readonly madeMs: number; readonly view: Promise<Overview> } | undefined
  /** While Redis is away the last known are shown. */
  #seen: readonly SeenRecord[] = []

  constructor(sources: OverviewSources) {
    this.#sources = sources
  }

  /** Of the last half second. */
  latest(): Promise<Overview> {
    const nowMs = performance.now()
    if (this.#latest && nowMs < this.#latest.madeMs + sharedForMs) return this.#latest.view
    // No request's time: what is made serves all who look.
    const view = withoutBudget(() => this.#make())
    this.#latest = { madeMs: nowMs, view }
    return view
  }

  async #make(): Promise<Overview> {
    const { epochMs, keys, clients, flow, price, offlineWarning } = this.#sources
    const nowMs = epochMs()
    const [rows, budgets, minutes, seen, redis] = await Promise.all([
      keys(),
      clients(),
      flow.minutes(),
      this.#presence(),
      this.#redis(),
    ])
    const living = seen.filter((record) => !isGone(record))
    const facts = {
      keys: rows.map((row) => withForecast(row, nowMs)),
      replicas: seen.map((record) => serviceRow(record, nowMs)),
      redis,
      breakers: worstOf(living.flatMap((record) => record.breakers ?? [])),
      backends: living.flatMap(({ id, backends = [] }) => backends.map((backend) => ({ edge: id, ...backend }))),
      sources: living.flatMap(({ id, sources = [] }) => sources.map((source) => ({ egress: id, ...source }))),
    }
    return {
      at: new Date(nowMs).toISOString(),
      verdict: verdictOf({ ...facts, offlineWarning: offlineWarning() }),
      flow: flowOf(minutes, price),
      ...facts,
      clients: budgets,
    }
  }

  async #presence(): Promise<readonly SeenRecord[]> {
    const { redis, self } = this.#sources
    const own: SeenRecord = { ...(await self()), seenMsAgo: 0 }
    const isLost = redis !== undefined && !redis.state.up
    const told = redis && !isLost ? await readPresence(redis.state).catch(() => this.#seen) : this.#seen
    this.#seen = told
    // No process is seen while Redis is away, which says nothing about them.
    const others = told.filter(({ id }) => id !== own.id)
    return [own, ...(isLost ? others.filter((record) => !isGone(record)) : others)]
  }

  async #redis(): Promise<RedisRow[]> {
    const { redis } = this.#sources
    if (!redis) return [{ name: 'state', state: 'off', topology: 'none' }]
    const links = redis.cache === redis.state ? (['state'] as const) : (['state', 'cache'] as const)
    return Promise.all(links.map((name) => redisRow(name, redis[name])))
  }
}

async function redisRow(name: 'state' | 'cache', link: RedisLink): Promise<RedisRow> {
  const startedMs = performance.now()
  const answered = link.run((client) => client.ping()).then(() => performance.now() - startedMs)
  const latencyMs = await answered.catch(() => undefined)
  const { state, reason, since } = linkHealth(link)
  return {
    name,
    state,
    topology: link.topology,
    ...(latencyMs !== undefined && { latencyMs: Math.round(latencyMs * 100) / 100 }),
    ...(since !== undefined && { since }),
    ...(reason !== undefined && { reason }),
  }
}

const isGone = ({ seenMsAgo }: SeenRecord): boolean => seenMsAgo > goneAfterMs

function serviceRow(record: SeenRecord, nowMs: number): ServiceRow {
  const { breakers: _breakers, backends: _backends, sources: _sources, seenMsAgo, state, ...row } = record
  return { ...row, state: isGone(record) ? 'gone' : state, seenAt: new Date(nowMs - seenMsAgo).toISOString() }
}

/** Of each provider. A replica that has not asked of late knows less than the others. */
function worstOf(rows: readonly BreakerRow[]): BreakerRow[] {
  const badness = { closed: 0, 'half-open': 1, open: 2 } as const
  const byProvider = Map.groupBy(rows, ({ provider }) => provider)
  return [...byProvider.values()].flatMap(
    (same) => same.toSorted((a, b) => badness[b.state] - badness[a.state])[0] ?? [],
  )
}

function withForecast(key: ConsoleKey, nowMs: number): ConsoleKey {
  const at = emptyOn(key, nowMs)
  return at === undefined ? key : { ...key, emptyOn: at }
}

function flowOf(minutes: Flow['minutes'], price: OverviewSources['price']): Flow {
  const sum = sumOf(minutes)
  const saved = sum.memory + sum.redis + sum.coalesced
  return {
    minutes,
    totals: { ...sum, saved },
    ...(price && {
      money: {
        saved: round(saved * price.perUnit),
        spent: round(sum.upstream * price.perUnit),
        currency: price.currency,
      },
    }),
  }
}

/** Units cost fractions of a cent. */
const round = (amount: number): number => Math.round(amount * 1e6) / 1e6
