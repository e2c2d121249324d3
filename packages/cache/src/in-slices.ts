/** Work on so many queries takes some milliseconds at most. */
export const sliceLength = 250

/** Slices that wait for their turn, of all batches. */
const waiting: (() => void)[] = []

/**
 * Resolves in a turn of the event loop that no other slice has. Each turn of Node's `setImmediate` runs all that wait:
 * with many batches under way, everything else would wait for a slice of each.
 */
export function sliceTurn(): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>()
  if (waiting.push(resolve) === 1) setImmediate(beginNext)
  return promise
}

function beginNext(): void {
  waiting.shift()?.()
  if (waiting.length > 0) setImmediate(beginNext)
}

/**
 * Works on each, with a turn of the event loop for each slice: what is answered from memory in microseconds does not
 * wait for all of a large batch, or for all batches. A short list is worked on at once.
 */
export function inSlices<T>(all: readonly T[], work: (one: T, at: number) => void): Promise<void> {
  if (all.length > sliceLength) return slicedWork(all, work)
  all.forEach(work)
  return done
}

const done = Promise.resolve()

async function slicedWork<T>(all: readonly T[], work: (one: T, at: number) => void): Promise<void> {
  for (let at = 0; at < all.length; at += 1) {
    if (at % sliceLength === 0) await sliceTurn()
    work(all[at] as T, at)
  }
}
