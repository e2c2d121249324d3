import type { LiveSource } from './live-source.ts'
import type { IsUsable, Rotation } from './rotation.ts'

/** Each usable source as likely as any other. */
export class RandomTurns implements Rotation {
  readonly #sources: readonly LiveSource[]
  readonly #random: () => number

  constructor(sources: readonly LiveSource[], random: () => number) {
    this.#sources = sources
    this.#random = random
  }

  next(isUsable: IsUsable): LiveSource | undefined {
    const drawn = this.#drawnOf(this.#sources)
    // Drawing among all and, when that fails, among the usable is as fair as among the usable alone.
    return drawn !== undefined && isUsable(drawn) ? drawn : this.#drawnOf(this.#sources.filter(isUsable))
  }

  #drawnOf(sources: readonly LiveSource[]): LiveSource | undefined {
    return sources[Math.floor(this.#random() * sources.length)]
  }
}
