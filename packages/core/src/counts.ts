/** How many there are of each name. A name of which there are none is forgotten. */
export class Counts {
  readonly #byName = new Map<string, number>()

  get isEmpty(): boolean {
    return this.#byName.size === 0
  }

  names(): readonly string[] {
    return [...this.#byName.keys()]
  }

  of(name: string): number {
    return this.#byName.get(name) ?? 0
  }

  /** @param change negative for what is no longer there */
  add(name: string, change: number): void {
    const count = this.of(name) + change
    if (count > 0) this.#byName.set(name, count)
    else this.#byName.delete(name)
  }
}
