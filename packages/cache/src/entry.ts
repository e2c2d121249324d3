import { isUtf8 } from 'node:buffer'

/** What a client gets: the status, the type and the bytes, verbatim as upstream sent them. */
export interface Answer {
  readonly status: number
  readonly contentType: string
  readonly body: Buffer
  /** Of a redirect. */
  readonly location?: string
  /** For the client that asked; such an answer is in no entry that is kept. */
  readonly isPrivate?: true
  /** Of the provider that stands in for the first one. */
  readonly isFallback?: true
}

export type Freshness = 'fresh' | 'stale' | 'dead'

/** An answer with its age. All times are monotonic milliseconds of this process. */
export class Entry {
  readonly bodyBytes: number
  readonly storedAtMs: number
  /** How long after `storedAtMs` it is as good as new. */
  readonly freshForMs: number
  /** How long it took to load; what takes long is refreshed the earlier. */
  readonly loadMs: number
  /** Until when memory may answer with it without asking the shared tier; kept by the memory tier. */
  recheckAtMs = 0
  /**
   * Until when it is served without asking, whatever its age: upstream has just said that there is no such thing, which
   * is not believed of what was there before.
   */
  heldUntilMs = 0
  /** Whatever the HTTP layer prepared for this entry, so that a hit costs nothing; opaque here. */
  prepared: unknown
  #answer: Answer | undefined
  /** In the place of `#answer`. */
  #text: TextAnswer | undefined

  constructor(answer: Answer, storedAtMs: number, freshForMs: number, loadMs = 0) {
    this.#answer = answer
    this.bodyBytes = answer.body.length
    this.storedAtMs = storedAtMs
    this.freshForMs = freshForMs
    this.loadMs = loadMs
  }

  get answer(): Answer {
    this.#answer ??= this.#text && answerOf(this.#text)
    return this.#answer as Answer
  }

  /** It says that there is nothing (400, 404). Such an answer lives for its freshness and never beats another one. */
  get isNegative(): boolean {
    return (this.#answer ?? (this.#text as TextAnswer)).status >= 400
  }

  get isFallback(): boolean {
    return (this.#answer ?? (this.#text as TextAnswer)).isFallback === true
  }

  /** The same, of which nothing is kept: for callers that look at many entries once. */
  get passingAnswer(): Answer {
    return this.#answer ?? { ...(this.#text as TextAnswer), body: Buffer.from(this.#text?.text ?? '') }
  }

  /** The body as text where it is at hand; see `settle`. */
  get text(): string | undefined {
    return this.#text?.text
  }

  /**
   * For the tier that keeps it. A body is often a view of something larger (what a socket brought at once, all that a batch
   * brought, a slab of Node's buffer pool), which would be kept for as long as the body is. As text it costs less
   * than as a Buffer, and the bytes of most entries are not asked for again.
   */
  settle(): void {
    const answer = this.#answer
    if (answer === undefined || answer.body.buffer.byteLength === answer.body.length) return
    const { body, status, contentType, isFallback } = answer
    const mark = isFallback ? { isFallback } : {}
    // What has been asked for already is asked for again.
    if (this.prepared === undefined && body.length <= longestText && isUtf8(body)) {
      this.#text = { status, contentType, ...mark, text: body.toString('utf8') }
      this.#answer = undefined
    } else this.#answer = { status, contentType, ...mark, body: withOwnMemory(body) }
  }

  ageMs(nowMs: number): number {
    return Math.max(0, nowMs - this.storedAtMs)
  }

  freshLeftMs(nowMs: number): number {
    return this.storedAtMs + this.freshForMs - nowMs
  }

  /**
   * Whether this one of many requests should refresh it although it is still fresh: the likelier the nearer its end,
   * so that an entry in demand never ends. XFetch, from Vattani, Chierichetti, Lowenstein: Optimal Probabilistic Cache
   * Stampede Prevention (VLDB 2015). @param random from 0 to 1
   */
  isDueEarly(nowMs: number, random: number): boolean {
    return this.loadMs * -Math.log(random) >= this.freshLeftMs(nowMs)
  }

  /** How long before its end a request may be chosen for that; earlier the odds are under 1 in 10,000. */
  get earlyMs(): number {
    return Math.min(this.loadMs * 10, this.freshForMs / 2)
  }

  /** `stale`: no longer fresh, but within the time in which it beats no answer (stale-if-error, RFC 5861 §4). */
  freshness(nowMs: number, staleForMs: number): Freshness {
    const leftMs = this.freshLeftMs(nowMs)
    if (leftMs > 0) return 'fresh'
    if (this.isNegative) return 'dead'
    return leftMs + staleForMs > 0 ? 'stale' : 'dead'
  }
}

/** Larger bodies stay outside of the heap, where the collector does not move them about. */
const longestText = 4096

interface TextAnswer extends Omit<Answer, 'body'> {
  readonly text: string
}

function answerOf({ text, ...answer }: TextAnswer): Answer {
  return { ...answer, body: withOwnMemory(Buffer.from(text)) }
}

function withOwnMemory(bytes: Buffer): Buffer {
  const own = Buffer.allocUnsafeSlow(bytes.length)
  bytes.copy(own)
  return own
}
