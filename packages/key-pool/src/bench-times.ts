import type { Bench } from './key-store.ts'

export interface BenchTimes {
  /** COOLDOWN_SECONDS: after a 429 that does not say how long. */
  readonly cooldownMs: number
  /** After a refusal of the key itself, or of a product that it may not ask. */
  readonly quarantineMs: number
}

const maxCooldownMs = 3_600_000
const maxQuarantineMs = 86_400_000
/** A plan may be upgraded any time: for longer, an operator would not understand why the key is still refused. */
const maxDenialMs = 3_600_000
/** In which a burst of queries for a module that no key may ask costs one refusal of each key. */
const suspicionMs = 10_000
/** What upstream may ask for with Retry-After; beyond it a key would be lost to a typing error. */
const retryAfterMs = { min: 1000, max: 86_400_000 }
const turnTakesMs = 3_600_000
/** Between two trials of a key whose quota should have turned. */
const retryTurnMs = 300_000
/** No quota is longer than a month. */
const maxQuotaMs = 32 * 86_400_000

/** For how long, and how it counts among the key's benches. */
type BenchDuration = Pick<Bench, 'durationMs' | 'doublingUpToMs' | 'isProvisional'>

/** Retry-After as it is (clamped); without it the cooldown, doubled for each 429 since the key's last success. */
export function limitedFor({ cooldownMs }: BenchTimes, retryAfterSeconds: number | undefined): BenchDuration {
  if (retryAfterSeconds === undefined) return doubling(cooldownMs, maxCooldownMs)
  return { durationMs: Math.min(Math.max(retryAfterSeconds * 1000, retryAfterMs.min), retryAfterMs.max) }
}

export function quarantineFor({ quarantineMs }: BenchTimes): BenchDuration {
  return doubling(quarantineMs, maxQuarantineMs)
}

/** How long it is remembered that a key may not ask a product. */
export function deniedFor({ quarantineMs }: BenchTimes): BenchDuration {
  return doubling(quarantineMs, maxDenialMs)
}

/** After a refusal that may be about the query: the next one shows it. */
export function suspectedFor({ quarantineMs }: BenchTimes): BenchDuration {
  return { durationMs: Math.min(suspicionMs, quarantineMs), isProvisional: true }
}

/** Until the quota is full again (clamped). */
export function exhaustedFor(resetMs: number): BenchDuration {
  return { durationMs: Math.min(Math.max(resetMs, retryAfterMs.min), maxQuotaMs) }
}

/**
 * How long a key is empty whose quota is gone: until the month turns. In the first hour of a month it may be the last one's
 * quota: upstream's clock is another one, and not every counter turns at once.
 * @param epochMs milliseconds since 1970
 */
export function quotaTurnsInMs(epochMs: number): number {
  const isNew = nextMonthMs(epochMs) !== nextMonthMs(epochMs - turnTakesMs)
  return isNew ? retryTurnMs : nextMonthMs(epochMs) - epochMs
}

/** The first of the next month, UTC, in milliseconds since 1970: when quotas turn. */
export function nextMonthMs(epochMs: number): number {
  const now = new Date(epochMs)
  return Date.UTC(now.getUTCFullYear(), now.getUTCMonth() + 1, 1)
}

/** What an operator has set to be longer than the maximum is not doubled. */
function doubling(durationMs: number, maxMs: number): BenchDuration {
  return { durationMs, doublingUpToMs: Math.max(maxMs, durationMs) }
}
