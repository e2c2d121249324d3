import type { BulkSettings } from '../settings.ts'
import { type PlaceRefusal, Places } from './places.ts'

/** What clients hold of this process at a time. */
export interface ServicePlaces {
  /** In bytes of memory, as far as uploads differ in it. */
  readonly uploads: Places
  /** Results that are being sent. */
  readonly downloads: Places
  readonly followers: Places
  readonly webhooks: Places
}

export const boundedThings = [
  'uploads',
  'downloads',
  'followers',
  'webhooks',
] as const satisfies (keyof ServicePlaces)[]
export type BoundedThing = (typeof boundedThings)[number]

type PlaceSettings = Pick<
  BulkSettings,
  'BULK_CLIENT_SHARE_PERCENT' | 'BULK_UPLOAD_MEMORY_BYTES' | 'BULK_MAX_DOWNLOADS' | 'BULK_MAX_FOLLOWERS'
>

/** Attempts at a time in this process. Each takes up to ten seconds when a receiver hangs. */
export const webhooksAtOnce = 50

/** @param onRefused is told what a client did not get, and whose limit it was */
export function servicePlaces(
  settings: PlaceSettings,
  onRefused: (thing: BoundedThing, why: PlaceRefusal) => void,
): ServicePlaces {
  const { BULK_CLIENT_SHARE_PERCENT: sharePercent } = settings
  const placesOf = (what: BoundedThing, max: number, setting: string): Places =>
    new Places({ what, max, setting, sharePercent, onRefused: (why) => onRefused(what, why) })
  return {
    uploads: placesOf('uploads', settings.BULK_UPLOAD_MEMORY_BYTES, 'BULK_UPLOAD_MEMORY_BYTES'),
    downloads: placesOf('downloads', settings.BULK_MAX_DOWNLOADS, 'BULK_MAX_DOWNLOADS'),
    followers: placesOf('followers', settings.BULK_MAX_FOLLOWERS, 'BULK_MAX_FOLLOWERS'),
    webhooks: placesOf('webhooks', webhooksAtOnce, 'webhooks'),
  }
}
