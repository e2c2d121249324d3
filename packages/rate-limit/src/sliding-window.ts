import type { SlidingWindow } from './policy.ts'
import type { Decision, Spending } from './rate-limiter.ts'

/** What was spent in the window with this number (counted from time 0), and in the one before. */
export interface WindowCounts {
  readonly index: number
  readonly current: number
  readonly previous: number
}

/**
 * The sliding window of `take-from-window.lua`, for one process. The window before counts by the part of it that
 * still lies within `windowMs` of now, as if it had been spent evenly.
 */
export function spendFromWindow(
  before: WindowCounts | undefined,
  { limit, windowMs }: SlidingWindow,
  nowMs: number,
  { cost, need }: Spending,
): { readonly counts: WindowCounts; readonly decision: Decision } {
  const counts = countsAt(before, Math.floor(nowMs / windowMs))
  const elapsedMs = nowMs - counts.index * windowMs
  const weighted = (counts.previous * (windowMs - elapsedMs)) / windowMs
  const resetMs = windowMs - elapsedMs
  const left = (spent: number): number => Math.max(0, Math.floor(limit - weighted - spent))
  if (need !== 'anyway' && weighted + counts.current + need > limit) {
    const retryAfterMs = waitMs(counts, limit, windowMs, elapsedMs, need)
    return { counts, decision: { kind: 'limited', limit, remaining: left(counts.current), resetMs, retryAfterMs } }
  }
  const current = counts.current + cost
  return { counts: { ...counts, current }, decision: { kind: 'allowed', limit, remaining: left(current), resetMs } }
}

function countsAt(before: WindowCounts | undefined, index: number): WindowCounts {
  if (before?.index === index) return before
  return { index, current: 0, previous: before?.index === index - 1 ? before.current : 0 }
}

/** Until the window before has lost enough of its weight: the one before this, or, from the turn on, this one. */
function waitMs({ current, previous }: WindowCounts, limit: number, windowMs: number, elapsedMs: number, need: number) {
  const enoughAt = (spent: number, room: number): number => Math.max(0, windowMs - (room * windowMs) / spent)
  // More than there ever is: the longest wait that means anything.
  if (need > limit) return 2 * windowMs - elapsedMs
  if (current + need <= limit) return Math.max(1, Math.ceil(enoughAt(previous, limit - current - need) - elapsedMs))
  return Math.max(1, Math.ceil(windowMs - elapsedMs + enoughAt(current, limit - need)))
}
