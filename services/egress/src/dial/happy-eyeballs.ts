import type { DialRequest, Dialled } from './dial-request.ts'
import { FamilyAttempt, type AttemptEnd, type AttemptOwner, type FamilyAttemptDeps } from './family-attempt.ts'

export interface DialerDeps extends FamilyAttemptDeps {
  /** For the whole dial. */
  readonly connectTimeoutMs: number
}

/** How long the first family has before the second begins: the Connection Attempt Delay (RFC 8305 §5). */
const attemptDelayMs = 250

/** Connects to targets, bound to source addresses that a pool gives. */
export class Dialer {
  readonly #deps: DialerDeps

  constructor(deps: DialerDeps) {
    this.#deps = deps
  }

  /** Calls back once, perhaps before this returns. A socket has no listener for its errors then. */
  dial(request: DialRequest, onEnd: (dialled: Dialled) => void): void {
    new HappyEyeballs(this.#deps, request, onEnd).start()
  }
}

/**
 * One dial. Where the target has addresses of both families, and the pool has sources of both, the second family begins
 * when the first has failed or is slow, and the first to connect wins (RFC 8305). So usually only one source is taken.
 */
class HappyEyeballs implements AttemptOwner {
  readonly #deps: DialerDeps
  readonly #request: DialRequest
  readonly #onEnd: (dialled: Dialled) => void
  readonly #families: readonly (4 | 6)[]
  readonly #deadlineMs: number
  readonly #attempts: FamilyAttempt[] = []
  readonly #ends: AttemptEnd[] = []
  #deadline: NodeJS.Timeout | undefined
  #delay: NodeJS.Timeout | undefined

  constructor(deps: DialerDeps, request: DialRequest, onEnd: (dialled: Dialled) => void) {
    this.#deps = deps
    this.#request = request
    this.#onEnd = onEnd
    this.#families = [...new Set(request.addresses.map(({ family }) => family))]
    this.#deadlineMs = deps.clock.nowMs() + deps.connectTimeoutMs
  }

  start(): void {
    const { signal } = this.#request
    if (signal.aborted) {
      this.#onEnd({ kind: 'aborted' })
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
      if (this.#ends.length === this.#attempts.length) this.#settle(this.#mostTelling)
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

  /** Whether one source only will do. */
  get #isHard(): boolean {
    return this.#request.chosen !== undefined || this.#request.session?.hard === true
  }

  /** The families of a second attempt; none if it has begun, or is not allowed. */
  get #secondFamilies(): readonly (4 | 6)[] {
    const first = this.#attempts[0]?.family
    if (this.#attempts.length !== 1 || first === undefined || this.#isHard) return []
    return this.#families.filter((family) => family !== first)
  }

  /** A session keeps its address as long as it connects, so the second family waits much longer. */
  get #secondDelayMs(): number {
    return this.#request.session === undefined ? attemptDelayMs : this.#deps.connectTimeoutMs / 2
  }

  /** A failure of the target says more than a lack of sources. Of two failures, the later one. */
  get #mostTelling(): AttemptEnd {
    const [first = { kind: 'no_family' }, second] = this.#ends
    if (second === undefined) return first
    return mostTellingFirst.indexOf(second.kind) <= mostTellingFirst.indexOf(first.kind) ? second : first
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
    this.#onEnd(dialled)
  }
}

const mostTellingFirst: readonly AttemptEnd['kind'][] = [
  'failed',
  'session_lost',
  'unknown_source',
  'no_source',
  'no_family',
]
