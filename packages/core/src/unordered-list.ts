type Placed = Record<symbol, number | undefined>

/**
 * Objects that come and go by the thousand, in no order. It costs less than a Set: when a table of V8's (Node 26.10) is
 * full of what was deleted, a new one is made, and the old one leads to it. Once one is in the old generation, every
 * table after it, with all that was in it, is copied by young collections and kept until the next full one.
 */
export class UnorderedList<Item extends object> implements Iterable<Item> {
  readonly #items: Item[] = []
  readonly #place: symbol

  /** @param place the property of an item that says where it stands; an item is in one list of that name at a time */
  constructor(place: symbol) {
    this.#place = place
  }

  get size(): number {
    return this.#items.length
  }

  /** It must not be in it. */
  add(item: Item): void {
    this.#put(item, this.#items.push(item) - 1)
  }

  /** @returns whether it was in it */
  delete(item: Item): boolean {
    const at = (item as Placed)[this.#place] ?? -1
    if (this.#items[at] !== item) return false
    const last = this.#items.pop()
    if (last === undefined || last === item) return true
    this.#items[at] = last
    this.#put(last, at)
    return true
  }

  /** From the end, so that what it has come to may be deleted meanwhile. */
  *[Symbol.iterator](): Generator<Item> {
    for (let at = this.#items.length - 1; at >= 0; at -= 1) {
      const item = this.#items[at]
      if (item !== undefined) yield item
    }
  }

  #put(item: object, at: number): void {
    const placed = item as Placed
    placed[this.#place] = at
  }
}
