/** A thousand queries are tried in at most six sizes. */
const factor = 4

/** How many queries go into the next request of a batch that could not be asked as a whole. */
export class PartSize {
  current: number
  #grows = false

  /** @param all of the batch */
  constructor(all: number) {
    this.current = all
  }

  /** So many were too many, or there is one among them for which they were refused. */
  shrink(from: number): void {
    this.current = Math.ceil(from / factor)
    this.#grows = false
  }

  /** A query was refused even alone: that was to blame for what was refused before, and not the size. */
  acquit(): void {
    this.current = factor
    this.#grows = true
  }

  /** A part was answered. */
  taken(): void {
    if (this.#grows) this.current *= factor
  }
}
