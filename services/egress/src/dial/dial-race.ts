import type { DialRequest, Dialled } from './dialer.ts'
import { FamilyLane, type LaneEnd, type LaneOwner, type LaneParts } from './family-lane.ts'

export interface DialRaceParts extends LaneParts {
  /** For a dial in all, in milliseconds. */
  readonly connectTimeoutMs: number
}

/** How long the family that began is left alone: the Connection Attempt Delay (RFC 8305 §5). */
const staggerMs = 250

/**
 * One dial. Where the target has addresses of both families, and the pool has sources of both, the second family sets
 * out when the first has failed or is slow, and the first to connect wins (RFC 8305). So in the ordinary case one source
 * is taken and no more.
 */
export class DialRace implements LaneOwner {
  readonly #parts: DialRaceParts
  readonly #request: DialRequest
  readonly #resolve: (dialled: Dialled) => void
  readonly #families: readonly (4 | 6)[]
  readonly #deadlineMs: number
  readonly #lanes: FamilyLane[] = []
  readonly #ends: LaneEnd[] = []
  #deadline: NodeJS.Timeout | undefined
  #stagger: NodeJS.Timeout | undefined

  constructor(parts: DialRaceParts, request: DialRequest, resolve: (dialled: Dialled) => void) {
    this.#parts = parts
    this.#request = request
    this.#resolve = resolve
    this.#families = [...new Set(request.addresses.map(({ family }) => family))]
    this.#deadlineMs = parts.clock.nowMs() + parts.connectTimeoutMs
  }

  start(): void {
    const { signal } = this.#request
    if (signal.aborted) {
      this.#resolve({ kind: 'aborted' })
      return
    }
    signal.addEventListener('abort', this.#onAbort)
    this.#deadline = setTimeout(this.#onDeadline, this.#parts.connectTimeoutMs)
    this.#begin(this.#families)
  }

  decided(): void {
    if (this.#rivalFamilies.length > 0) this.#stagger = setTimeout(this.#beginRival, this.#rivalDelayMs)
  }

  over(end: LaneEnd): void {
    this.#ends.push(end)
    if (end.kind === 'connected') this.#settle(end)
    else {
      this.#beginRival()
      if (this.#ends.length === this.#lanes.length) this.#settle(this.#worthMost)
    }
  }

  #begin(families: readonly (4 | 6)[]): void {
    const lane = new FamilyLane(this.#parts, { request: this.#request, families, deadlineMs: this.#deadlineMs }, this)
    this.#lanes.push(lane)
    lane.start()
  }

  readonly #beginRival = (): void => {
    clearTimeout(this.#stagger)
    const families = this.#rivalFamilies
    if (families.length > 0) this.#begin(families)
  }

  /** Those left to the second lane; none if there is one already, or cannot be one. */
  get #rivalFamilies(): readonly (4 | 6)[] {
    const first = this.#lanes[0]?.family
    if (this.#lanes.length !== 1 || first === undefined || this.#request.session?.hard === true) return []
    return this.#families.filter((family) => family !== first)
  }

  /** A session keeps its address, unless the address gets nowhere: whoever is faster must not decide. */
  get #rivalDelayMs(): number {
    return this.#request.session === undefined ? staggerMs : this.#parts.connectTimeoutMs / 2
  }

  /** What the target did says more than what the pool lacks. Of two failures the later one. */
  get #worthMost(): LaneEnd {
    const [first = { kind: 'no_family' }, second] = this.#ends
    if (second === undefined) return first
    return worths.indexOf(second.kind) <= worths.indexOf(first.kind) ? second : first
  }

  readonly #onDeadline = (): void => {
    const sources = this.#lanes.map((lane) => lane.expire())
    this.#settle({ kind: 'failed', code: 'ETIMEDOUT', source: sources.find((source) => source !== undefined) })
  }

  readonly #onAbort = (): void => {
    this.#settle({ kind: 'aborted' })
  }

  #settle(dialled: Dialled): void {
    clearTimeout(this.#deadline)
    clearTimeout(this.#stagger)
    this.#request.signal.removeEventListener('abort', this.#onAbort)
    for (const lane of this.#lanes) lane.stop()
    this.#resolve(dialled)
  }
}

const worths: readonly LaneEnd['kind'][] = ['failed', 'session_lost', 'no_source', 'no_family']
