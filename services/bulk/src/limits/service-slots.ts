import type { BulkSettings } from '../settings.ts'
import { type SlotRefusal, SlotLimiter } from './slot-limiter.ts'

/** What clients hold of this process at a time. */
export interface ServiceSlots {
  /** In bytes of memory, as far as uploads differ in it. */
  readonly uploads: SlotLimiter
  /** Results that are being sent. */
  readonly downloads: SlotLimiter
  readonly followers: SlotLimiter
  readonly webhooks: SlotLimiter
}

export const boundedThings = ['uploads', 'downloads', 'followers', 'webhooks'] as const satisfies (keyof ServiceSlots)[]
export type BoundedThing = (typeof boundedThings)[number]

type SlotSettings = Pick<
  BulkSettings,
  'BULK_CLIENT_SHARE_PERCENT' | 'BULK_UPLOAD_MEMORY_BYTES' | 'BULK_MAX_DOWNLOADS' | 'BULK_MAX_FOLLOWERS'
>

/** Attempts at a time in this process. Each takes up to ten seconds when a receiver hangs. */
export const webhooksAtOnce = 50

/** @param onRefused is told what a client did not get, and whose limit it was */
export function serviceSlots(
  settings: SlotSettings,
  onRefused: (thing: BoundedThing, why: SlotRefusal) => void,
): ServiceSlots {
  const { BULK_CLIENT_SHARE_PERCENT: sharePercent } = settings
  const placesOf = (what: BoundedThing, max: number, setting: string): SlotLimiter =>
    new SlotLimiter({ what, max, setting, sharePercent, onRefused: (why) => onRefused(what, why) })
  return {
    uploads: placesOf('uploads', settings.BULK_UPLOAD_MEMORY_BYTES, 'BULK_UPLOAD_MEMORY_BYTES'),
    downloads: placesOf('downloads', settings.BULK_MAX_DOWNLOADS, 'BULK_MAX_DOWNLOADS'),
    followers: placesOf('followers', settings.BULK_MAX_FOLLOWERS, 'BULK_MAX_FOLLOWERS'),
    webhooks: placesOf('webhooks', webhooksAtOnce, 'webhooks'),
  }
}
