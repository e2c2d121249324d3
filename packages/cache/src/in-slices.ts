import { setImmediate as nextTurn } from 'node:timers/promises'

/** Work on so many questions takes some milliseconds at most. */
export const sliceLength = 250

/**
 * Works on each, with a turn of the event loop between slices: what is answered from memory in microseconds does not
 * wait for all of a large batch. A short list is worked on at once.
 */
export async function inSlices<T>(all: readonly T[], work: (one: T, at: number) => void): Promise<void> {
  for (let at = 0; at < all.length; at += 1) {
    if (at > 0 && at % sliceLength === 0) await nextTurn()
    work(all[at] as T, at)
  }
}
