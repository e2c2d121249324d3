/**
 * Works on up to `most` items at a time and gives what came of them in the order of the items. No more are begun than
 * that, those that wait to be taken included. When it ends early, by a failure or because nobody takes more, the work
 * under way is told by its signal.
 */
export async function* mapInOrder<Item, Result>(
  items: AsyncIterable<Item>,
  most: number,
  work: (item: Item, signal: AbortSignal) => Promise<Result>,
): AsyncGenerator<Result> {
  const end = new AbortController()
  const underWay: Promise<Result>[] = []
  try {
    for await (const item of items) {
      const result = work(item, end.signal)
      // It is awaited in its turn; until then its failure is nobody's.
      result.catch(() => undefined)
      underWay.push(result)
      const first = underWay.length === most ? underWay.shift() : undefined
      if (first) yield await first
    }
    for (let next = underWay.shift(); next !== undefined; next = underWay.shift()) yield await next
  } finally {
    end.abort()
    await Promise.allSettled(underWay)
  }
}
