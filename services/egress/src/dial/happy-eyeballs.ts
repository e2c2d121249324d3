import type { DialRequest, Dialled } from './dialer.ts'
import { FamilyAttempt, type AttemptEnd, type AttemptOwner, type FamilyAttemptDeps } from './family-attempt.ts'

export interface HappyEyeballsDeps extends FamilyAttemptDeps {
  /** For a dial in all, in milliseconds. */
  readonly connectTimeoutMs: number
}

/** How long the family that began is left alone: the Connection Attempt Delay (RFC 8305 §5). */
const attemptDelayMs = 250

/**
 * One dial. Where the target has addresses of both families, and the pool has sources of both, the second family sets
 * out when the first has failed or is slow, and the first to connect wins (RFC 8305). So in the ordinary case one source
 * is taken and no more.
 */
export class HappyEyeballs implements AttemptOwner {
  readonly #deps: HappyEyeballsDeps
  readonly #request: DialRequest
  readonly #resolve: (dialled: Dialled) => void
  readonly #families: readonly (4 | 6)[]
  readonly #deadlineMs: number
  readonly #attempts: FamilyAttempt[] = []
  readonly #ends: AttemptEnd[] = []
  #deadline: NodeJS.Timeout | undefined
  #delay: NodeJS.Timeout | undefined

  constructor(deps: HappyEyeballsDeps, request: DialRequest, resolve: (dialled: Dialled) => void) {
    this.#deps = deps
    this.#request = request
    this.#resolve = resolve
    this.#families = [...new Set(request.addresses.map(({ family }) => family))]
    this.#deadlineMs = deps.clock.nowMs() + deps.connectTimeoutMs
  }

  start(): void {
    const { signal } = this.#request
    if (signal.aborted) {
      this.#resolve({ kind: 'aborted' })
      return
    }
    signal.addEventListener('abort', this.#onAbort)
    this.#deadline = setTimeout(this.#onDeadline, this.#deps.connectTimeoutMs)
    this.#begin(this.#families)
  }

  decided(): void {
    if (this.#secondFamilies.length > 0) this.#delay = setTimeout(this.#beginSecond, this.#secondDelayMs)
  }

  over(end: AttemptEnd): void {
    this.#ends.push(end)
    if (end.kind === 'connected') this.#settle(end)
    else {
      this.#beginSecond()
      if (this.#ends.length === this.#attempts.length) this.#settle(this.#worthMost)
    }
  }

  #begin(families: readonly (4 | 6)[]): void {
    const attempt = new FamilyAttempt(
      this.#deps,
      { request: this.#request, families, deadlineMs: this.#deadlineMs },
      this,
    )
    this.#attempts.push(attempt)
    attempt.start()
  }

  readonly #beginSecond = (): void => {
    clearTimeout(this.#delay)
    const families = this.#secondFamilies
    if (families.length > 0) this.#begin(families)
  }

  /** Those left to the second attempt; none if there is one already, or cannot be one. */
  get #secondFamilies(): readonly (4 | 6)[] {
    const first = this.#attempts[0]?.family
    if (this.#attempts.length !== 1 || first === undefined || this.#request.session?.hard === true) return []
    return this.#families.filter((family) => family !== first)
  }

  /** A session keeps its address, unless the address gets nowhere: whoever is faster must not decide. */
  get #secondDelayMs(): number {
    return this.#request.session === undefined ? attemptDelayMs : this.#deps.connectTimeoutMs / 2
  }

  /** What the target did says more than what the pool lacks. Of two failures the later one. */
  get #worthMost(): AttemptEnd {
    const [first = { kind: 'no_family' }, second] = this.#ends
    if (second === undefined) return first
    return worths.indexOf(second.kind) <= worths.indexOf(first.kind) ? second : first
  }

  readonly #onDeadline = (): void => {
    const sources = this.#attempts.map((attempt) => attempt.expire())
    this.#settle({ kind: 'failed', code: 'ETIMEDOUT', source: sources.find((source) => source !== undefined) })
  }

  readonly #onAbort = (): void => {
    this.#settle({ kind: 'aborted' })
  }

  #settle(dialled: Dialled): void {
    clearTimeout(this.#deadline)
    clearTimeout(this.#delay)
    this.#request.signal.removeEventListener('abort', this.#onAbort)
    for (const attempt of this.#attempts) attempt.stop()
    this.#resolve(dialled)
  }
}

const worths: readonly AttemptEnd['kind'][] = ['failed', 'session_lost', 'no_source', 'no_family']
