import { isIPv6 } from 'node:net'
import type { Source, SourceChoice, SourceOutcome, SourcePool, SourceRequest } from '../src/sources/source-pool.ts'

/** Gives the listed addresses in turn, those that were tried left out, and notes what it is asked and told. */
export class ListedPool implements SourcePool {
  readonly requests: SourceRequest[] = []
  /** `address outcome at host`, in the order of arrival. */
  readonly reports: string[] = []
  /** What it says when it has none; a test may set it. */
  none: SourceChoice = { kind: 'all_out', retryAfterSeconds: 7 }
  /** Held back until this resolves, if it is set. */
  answersAfter: Promise<unknown> | undefined
  readonly #sources: readonly Source[]
  #turn = 0

  constructor(...addresses: readonly string[]) {
    this.#sources = addresses.map((address) => ({ address, family: isIPv6(address) ? 6 : 4, listedAs: address }))
  }

  next(request: SourceRequest): SourceChoice | Promise<SourceChoice> {
    this.requests.push({ ...request, tried: [...request.tried] })
    const choice = this.#choose(request)
    return this.answersAfter ? this.answersAfter.then(() => choice) : choice
  }

  report(source: Source, site: string, outcome: SourceOutcome): void {
    this.reports.push(`${source.address} ${outcome} at ${site.replace(/:\d+$/, '')}`)
  }

  /** The best family that has any decides. */
  #choose({ families, tried }: SourceRequest): SourceChoice {
    const ofFamilies = families
      .map((family) => this.#sources.filter((source) => source.family === family))
      .find((sources) => sources.length > 0)
    if (ofFamilies === undefined) return { kind: 'no_family' }
    const left = ofFamilies.filter((source) => !tried.includes(source))
    const source = left[this.#turn % left.length]
    this.#turn += 1
    return source ? { kind: 'source', source } : this.none
  }
}
