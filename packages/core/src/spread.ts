/** Work of one turn of the event loop. */
const turnMs = 2

/**
 * Calls `each` for all items, for two milliseconds in this turn of the event loop and in each of the next, so that what
 * concerns hundreds of connections at the same moment does not keep the others waiting.
 */
export function spread<T>(items: Iterator<T>, each: (item: T) => void, onDone: () => void = () => {}): void {
  const endMs = performance.now() + turnMs
  for (let next = items.next(); next.done !== true; next = items.next()) {
    each(next.value)
    if (performance.now() < endMs) continue
    setImmediate(spread<T>, items, each, onDone)
    return
  }
  onDone()
}
