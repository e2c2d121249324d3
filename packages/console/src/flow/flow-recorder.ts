import { randomUUID } from 'node:crypto'
import { isRecord, parseJson } from '@ipfleet/core/json.ts'
import { luaCommand } from '@ipfleet/redis/lua-command.ts'
import type { RedisLink } from '@ipfleet/redis/redis-link.ts'
import type { FlowCounts } from '../contract.ts'

const addFlow = luaCommand(new URL('add-flow.lua', import.meta.url))
const readFlow = luaCommand(new URL('read-flow.lua', import.meta.url))

export const flowKinds = ['asked', 'memory', 'redis', 'coalesced', 'upstream', 'offline', 'failed'] as const
export const noFlow: FlowCounts = { asked: 0, memory: 0, redis: 0, coalesced: 0, upstream: 0, offline: 0, failed: 0 }

export interface FlowRecorderOptions {
  /** Where the replicas' counts come together. Undefined: those of this one are all. */
  readonly link: RedisLink | undefined
  /** What this replica has counted since its start. */
  readonly totals: () => FlowCounts
  /** Milliseconds since 1970, alike for all replicas. */
  readonly epochMs: () => number
}

/** Minutes since 1970. */
type Minute = number

/** The last hour, and the minute that has begun. */
export const flowMinutes = 61
const minuteMs = 60_000
const flushEveryMs = 3000
const keptMs = 2 * 3_600_000

/**
 * Counts look-ups by the minute. Each replica keeps its own last hour, and tells the fleet its sums of the minutes that
 * have changed, in one command each few seconds; what Redis has missed is told when it is back.
 */
export class FlowRecorder {
  readonly #options: FlowRecorderOptions
  readonly #replica = randomUUID()
  readonly #own = new Map<Minute, FlowCounts>()
  readonly #untold = new Set<Minute>()
  readonly #timer: NodeJS.Timeout
  #before = noFlow

  constructor(options: FlowRecorderOptions) {
    this.#options = options
    this.#timer = setInterval(() => void this.flush(), flushEveryMs).unref()
  }

  /** Never rejects. */
  async flush(): Promise<void> {
    this.#count()
    const { link } = this.#options
    if (!link) return this.#untold.clear()
    for (const minute of this.#untold) {
      const told = this.#own.get(minute)
      this.#untold.delete(minute)
      try {
        await link.lua(addFlow, [keyOf(link, minute)], [this.#replica, JSON.stringify(told), keptMs])
      } catch {
        this.#untold.add(minute)
        return
      }
    }
  }

  /** The fleet's counts of the last 61 minutes, the oldest first; those of this replica while Redis is away. */
  async minutes(): Promise<readonly (FlowCounts & { readonly at: string })[]> {
    this.#count()
    const last = this.#minute()
    const minutes = Array.from({ length: flowMinutes }, (_, index) => last - flowMinutes + 1 + index)
    const others = await this.#ofOthers(minutes)
    return minutes.map((minute, index) => ({
      at: new Date(minute * minuteMs).toISOString(),
      ...sumOf([this.#own.get(minute) ?? noFlow, ...(others[index] ?? [])]),
    }))
  }

  async close(): Promise<void> {
    clearInterval(this.#timer)
    await this.flush()
  }

  async #ofOthers(minutes: readonly Minute[]): Promise<readonly (readonly FlowCounts[])[]> {
    const { link } = this.#options
    if (!link) return []
    try {
      const keys = minutes.map((minute) => keyOf(link, minute))
      const hashes = (await link.lua(readFlow, keys, [])) as string[][]
      return hashes.map((hash) => countsIn(hash, this.#replica))
    } catch {
      return []
    }
  }

  #count(): void {
    const now = this.#options.totals()
    const grown = flowKinds.some((kind) => now[kind] > this.#before[kind])
    if (!grown) return
    const minute = this.#minute()
    const since = Object.fromEntries(flowKinds.map((kind) => [kind, now[kind] - this.#before[kind]]))
    this.#own.set(minute, sumOf([this.#own.get(minute) ?? noFlow, since as unknown as FlowCounts]))
    this.#untold.add(minute)
    this.#before = now
    for (const old of this.#own.keys()) {
      if (old > minute - flowMinutes) continue
      this.#own.delete(old)
      this.#untold.delete(old)
    }
  }

  #minute(): Minute {
    return Math.floor(this.#options.epochMs() / minuteMs)
  }
}

export function sumOf(all: readonly FlowCounts[]): FlowCounts {
  const sum = (kind: keyof FlowCounts): number => all.reduce((total, counts) => total + counts[kind], 0)
  return Object.fromEntries(flowKinds.map((kind) => [kind, sum(kind)])) as unknown as FlowCounts
}

/** One tag for all, so that one command reads them. */
const keyOf = ({ names }: RedisLink, minute: Minute): string => names.key('flow', 'flow', String(minute))

/** Of the other replicas; `hash`: names and values in turns. What another release has written may lack kinds. */
function countsIn(hash: readonly string[], own: string): FlowCounts[] {
  return hash.flatMap((text, index) => {
    if (index % 2 === 0 || hash[index - 1] === own) return []
    const value = parseJson(text)
    if (!isRecord(value)) return []
    const counts = flowKinds.map((kind) => [kind, Number.isFinite(value[kind]) ? value[kind] : 0] as const)
    return [Object.fromEntries(counts) as unknown as FlowCounts]
  })
}
