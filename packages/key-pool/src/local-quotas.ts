import type { Clock } from '@ipfleet/core/clock.ts'
import { scopeOf } from './key-store.ts'
import type { KeyQuota, Quota, QuotaReport, QuotaSource } from './quota.ts'

interface Held {
  readonly limit: number | undefined
  /** Used and left together, where upstream tells both. */
  readonly total: number | undefined
  readonly untilMs: number
  remaining: number
}

interface Count {
  taken: number
  overage: number
  /** Days since 1970, UTC, and what was taken on that day. */
  day: number
  today: number
}

const dayMs = 86_400_000

/** What this process knows of the keys' quotas, by key and by key and product, counted down as keys are taken. */
export class LocalQuotas {
  readonly #clock: Clock
  readonly #epochMs: () => number
  readonly #held = new Map<string, Held>()
  readonly #counts = new Map<string, Count>()

  constructor(clock: Clock, epochMs: () => number = Date.now) {
    this.#clock = clock
    this.#epochMs = epochMs
  }

  /** @param id of a key, or the scope of a key and a product */
  of(id: string): KeyQuota {
    const account = this.#quota(id, 'account')
    const reply = this.#quota(id, 'reply')
    const { taken = 0, overage = 0 } = this.#counts.get(id) ?? {}
    return { id, taken, ...(overage > 0 && { overage }), ...(account && { account }), ...(reply && { reply }) }
  }

  /** How long until the key may be used again of which that many units may be taken in a day. */
  dayOverForMs(id: string, units: number, maxPerDay: number | undefined): number {
    if (maxPerDay === undefined || units === 0) return 0
    const nowMs = this.#epochMs()
    const { day, today } = this.#counts.get(id) ?? { day: 0, today: 0 }
    const taken = day === Math.floor(nowMs / dayMs) ? today : 0
    return taken + units > maxPerDay ? dayMs - (nowMs % dayMs) : 0
  }

  count(id: string, units: number, isOverage: boolean): void {
    const day = Math.floor(this.#epochMs() / dayMs)
    const count = this.#counts.getOrInsert(id, { taken: 0, overage: 0, day, today: 0 })
    count.taken += units
    if (isOverage) count.overage += units
    count.today = count.day === day ? count.today + units : units
    count.day = day
  }

  spend(id: string, units: number): void {
    for (const source of ['account', 'reply'] as const) {
      const held = this.#alive(id, source)
      if (held) held.remaining = Math.max(0, held.remaining - units)
    }
  }

  /** The same arithmetic as give-back.lua. */
  giveBack(id: string, units: number): void {
    for (const source of ['account', 'reply'] as const) {
      const held = this.#alive(id, source)
      if (held) held.remaining = Math.min(held.limit ?? Infinity, held.remaining + units)
    }
    const count = this.#counts.get(id)
    if (count?.day === Math.floor(this.#epochMs() / dayMs)) count.today = Math.max(0, count.today - units)
  }

  forget(id: string): void {
    for (const slot of this.#held.keys())
      if (slot.startsWith(`${id}:`) || slot.startsWith(`${id}/`)) this.#held.delete(slot)
  }

  /** The same arithmetic as report-quota.lua, where its reasons are. */
  report({ id: key, product, source, remaining, limit, used, resetMs, takenBefore }: QuotaReport): void {
    const id = scopeOf(key, product)
    const before = this.#alive(id, source)
    const since = takenBefore === undefined ? 0 : (this.#counts.get(key)?.taken ?? 0) - takenBefore
    const minLeft = Math.max(0, remaining - since)
    const isKnown = before !== undefined && before.limit === limit
    const lowered = isKnown ? Math.min(before.remaining, remaining) : minLeft
    const keepsWindow = isKnown && source === 'reply' && remaining > 0
    this.#held.set(`${id}:${source}`, {
      limit,
      total: used === undefined ? limit : used + remaining,
      untilMs: keepsWindow ? before.untilMs : this.#clock.nowMs() + resetMs,
      remaining: takenBefore === undefined ? lowered : Math.max(lowered, minLeft),
    })
  }

  #alive(id: string, source: QuotaSource): Held | undefined {
    const held = this.#held.get(`${id}:${source}`)
    return held && held.untilMs > this.#clock.nowMs() ? held : undefined
  }

  #quota(id: string, source: QuotaSource): Quota | undefined {
    const held = this.#alive(id, source)
    if (!held) return undefined
    const { remaining, limit, total, untilMs } = held
    const used = total === undefined ? undefined : Math.max(0, total - remaining)
    return {
      remaining,
      ...(limit !== undefined && { limit }),
      ...(used !== undefined && { used }),
      resetMs: untilMs - this.#clock.nowMs(),
    }
  }
}
