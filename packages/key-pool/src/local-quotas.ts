import type { Clock } from '@ipfleet/clock/clock.ts'
import type { KeyQuota, Quota, QuotaReport, QuotaSource } from './quota.ts'

interface Held {
  readonly limit: number | undefined
  /** Used and left together, where upstream tells both. */
  readonly total: number | undefined
  readonly untilMs: number
  remaining: number
}

/** What this process knows of the keys' quotas, counted down as keys are taken. */
export class LocalQuotas {
  readonly #clock: Clock
  readonly #held = new Map<string, Held>()
  readonly #taken = new Map<string, number>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  of(id: string): KeyQuota {
    const account = this.#quota(id, 'account')
    const reply = this.#quota(id, 'reply')
    return { id, taken: this.#taken.get(id) ?? 0, ...(account && { account }), ...(reply && { reply }) }
  }

  spend(id: string, units: number): void {
    this.#taken.set(id, (this.#taken.get(id) ?? 0) + units)
    for (const source of ['account', 'reply'] as const) {
      const held = this.#alive(id, source)
      if (held) held.remaining = Math.max(0, held.remaining - units)
    }
  }

  forget(id: string): void {
    this.#held.delete(`${id}:account`)
    this.#held.delete(`${id}:reply`)
  }

  /** The same arithmetic as report-quota.lua, where its reasons are. */
  report({ id, source, remaining, limit, used, resetMs, takenBefore }: QuotaReport): void {
    const before = this.#alive(id, source)
    const since = takenBefore === undefined ? 0 : (this.#taken.get(id) ?? 0) - takenBefore
    const least = Math.max(0, remaining - since)
    const isKnown = before !== undefined && before.limit === limit
    const lowered = isKnown ? Math.min(before.remaining, remaining) : least
    const keepsWindow = isKnown && source === 'reply' && remaining > 0
    this.#held.set(`${id}:${source}`, {
      limit,
      total: used === undefined ? limit : used + remaining,
      untilMs: keepsWindow ? before.untilMs : this.#clock.nowMs() + resetMs,
      remaining: takenBefore === undefined ? lowered : Math.max(lowered, least),
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
