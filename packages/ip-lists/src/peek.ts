export interface Peeked {
  readonly head: Buffer
  /** The head and what comes after it. To be read once. */
  readonly all: AsyncIterable<Buffer>
}

/** Reads until `enough` accepts what has come, or until the end. */
export async function peek(pieces: AsyncIterable<Buffer>, enough: (head: Buffer) => boolean): Promise<Peeked> {
  const iterator = pieces[Symbol.asyncIterator]()
  let head: Buffer = Buffer.alloc(0)
  while (!enough(head)) {
    const next = await iterator.next()
    if (next.done === true) break
    head = head.length === 0 ? next.value : Buffer.concat([head, next.value])
  }
  return { head, all: resumed(head.length === 0 ? [] : [head], iterator) }
}

/** A group of lines has up to 64 KiB. */
const maxPeekedGroups = 500

/** The first items of groups, at least so many if there are as many and they are not too large; and all groups. */
export async function peekItems<Item>(groups: AsyncIterable<readonly Item[]>, count: number) {
  const iterator = groups[Symbol.asyncIterator]()
  const held: (readonly Item[])[] = []
  for (let length = 0; length < count && held.length < maxPeekedGroups; length += held.at(-1)?.length ?? 0) {
    const next = await iterator.next()
    if (next.done === true) break
    held.push(next.value)
  }
  return { first: held.flat().slice(0, count), all: resumed(held, iterator) }
}

async function* resumed<Piece>(held: readonly Piece[], iterator: AsyncIterator<Piece>): AsyncGenerator<Piece> {
  try {
    yield* held
    for (let next = await iterator.next(); next.done !== true; next = await iterator.next()) yield next.value
  } finally {
    await iterator.return?.()
  }
}
