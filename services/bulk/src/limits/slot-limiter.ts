import { Counts } from '@ipfleet/core/counts.ts'
import { ProxyError } from '@ipfleet/core/proxy-error.ts'
import type { BulkSettings } from '../settings.ts'

export interface SlotLimiterOptions {
  /** Of all clients together, in this process. */
  readonly max: number
  /** The part of it that one client may have. */
  readonly sharePercent: number
  /** What is counted, for messages: `uploads`. */
  readonly what: string
  /** The setting that gives `max`. */
  readonly setting: string
  readonly onRefused?: (why: SlotRefusal) => void
}

/** Something of what is bounded, held by a client. */
export interface Slot {
  readonly release: () => void
}

export type SlotRefusal = 'client_full' | 'all_full'

const retrySeconds = 1

/** Bounds what clients hold at a time: all of them together, and each one to a share of it. */
export class SlotLimiter {
  readonly #options: SlotLimiterOptions
  readonly #held = new Counts()
  #total = 0

  constructor(options: SlotLimiterOptions) {
    this.#options = options
  }

  get total(): number {
    return this.#total
  }

  /** What one client may have: at least 1, whatever the share. */
  get share(): number {
    return shareOf(this.#options.max, this.#options.sharePercent)
  }

  /**
   * @param holder the client (`holderOf`)
   * @param weight of what is taken; more than all there is counts as all there is
   */
  tryTake(holder: string, weight = 1): Slot | SlotRefusal {
    const units = Math.min(weight, this.share)
    if (this.#held.of(holder) + units > this.share) return this.#refuse('client_full')
    if (this.#total + units > this.#options.max) return this.#refuse('all_full')
    this.#add(holder, units)
    let isHeld = true
    return {
      release: () => {
        if (isHeld) this.#add(holder, -units)
        isHeld = false
      },
    }
  }

  /** As `tryTake`. @throws ProxyError `client_share` over the client's share, `overloaded` over the limit of all */
  take(holder: string, weight = 1): Slot {
    const slot = this.tryTake(holder, weight)
    if (typeof slot !== 'string') return slot
    const { what, setting, sharePercent } = this.#options
    if (slot === 'client_full') {
      const message = `You have as many ${what} at a time as one client may: ${sharePercent} % (BULK_CLIENT_SHARE_PERCENT) of ${setting}`
      throw new ProxyError('client_share', { message, retryAfterSeconds: retrySeconds })
    }
    throw new ProxyError('overloaded', {
      message: `There are as many ${what} at a time as may be (${setting}); try again after the time in Retry-After`,
      retryAfterSeconds: retrySeconds,
    })
  }

  #refuse(why: SlotRefusal): SlotRefusal {
    this.#options.onRefused?.(why)
    return why
  }

  #add(holder: string, units: number): void {
    this.#held.add(holder, units)
    this.#total += units
  }
}

/** A percentage of `max`, and at least 1. */
export function shareOf(max: number, percent: number): number {
  return Math.max(1, Math.floor((max * percent) / 100))
}

/** What clients hold of this process: uploads in bytes of memory, the others by number. */
export const boundedThings = ['uploads', 'downloads', 'followers', 'webhooks'] as const
export type BoundedThing = (typeof boundedThings)[number]
export type ServiceSlots = Readonly<Record<BoundedThing, SlotLimiter>>

/** Attempts at a time in this process. Each takes up to ten seconds when a receiver hangs. */
const maxWebhooks = 50

type LimitSetting = 'BULK_UPLOAD_MEMORY_BYTES' | 'BULK_MAX_DOWNLOADS' | 'BULK_MAX_FOLLOWERS'

/** @param onRefused called with what a client did not get, and whose limit it was */
export function serviceSlots(
  settings: Pick<BulkSettings, LimitSetting | 'BULK_CLIENT_SHARE_PERCENT'>,
  onRefused: (what: BoundedThing, why: SlotRefusal) => void,
): ServiceSlots {
  const limiter = (what: BoundedThing, setting: LimitSetting | 'webhooks'): SlotLimiter =>
    new SlotLimiter({
      what,
      setting,
      max: setting === 'webhooks' ? maxWebhooks : settings[setting],
      sharePercent: settings.BULK_CLIENT_SHARE_PERCENT,
      onRefused: (why) => onRefused(what, why),
    })
  return {
    uploads: limiter('uploads', 'BULK_UPLOAD_MEMORY_BYTES'),
    downloads: limiter('downloads', 'BULK_MAX_DOWNLOADS'),
    followers: limiter('followers', 'BULK_MAX_FOLLOWERS'),
    webhooks: limiter('webhooks', 'webhooks'),
  }
}
