import { parseAddress } from './address.ts'

/** The addresses about which IPinfo tells nobody anything, and says 403 as to an unknown token. */
export class BlockedAddresses {
  #texts = new Set<string>()

  constructor(addresses: readonly string[] = []) {
    this.set(addresses)
  }

  /** In place of those there were. */
  set(addresses: readonly string[]): void {
    this.#texts = new Set(addresses.map((text) => parseAddress(text)?.text ?? text))
  }

  /** Whether one of a path's segments is such an address. */
  isIn(segments: readonly string[]): boolean {
    return this.#texts.size > 0 && segments.some((segment) => this.#texts.has(parseAddress(segment)?.text ?? segment))
  }
}
