/**
 * Works on up to `max` items at a time, including those whose results wait for the consumer, and yields the results in
 * the order of the items. When it ends early, by a failure or by the consumer, the signal of the work under way aborts.
 */
export async function* mapInOrder<Item, Result>(
  items: AsyncIterable<Item>,
  max: number,
  work: (item: Item, signal: AbortSignal) => Promise<Result>,
): AsyncGenerator<Result> {
  const end = new AbortController()
  const underWay: Promise<Result>[] = []
  try {
    for await (const item of items) {
      const result = work(item, end.signal)
      // The rejection is handled where it is awaited. This prevents an unhandledRejection.
      result.catch(() => undefined)
      underWay.push(result)
      const first = underWay.length === max ? underWay.shift() : undefined
      if (first) yield await first
    }
    for (let next = underWay.shift(); next !== undefined; next = underWay.shift()) yield await next
  } finally {
    end.abort()
    await Promise.allSettled(underWay)
  }
}
