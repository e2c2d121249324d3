/** What is said of the bytes. */
export interface AnswerHead {
  readonly status: number
  readonly contentType: string
  /** Of a redirect. */
  readonly location?: string
  /** For the client that asked; such an answer is in no entry that is kept. */
  readonly isPrivate?: true
  /** Of the provider that stands in for the first one. */
  readonly isFallback?: true
}

/** What a client gets: the status, the type and the bytes, verbatim as upstream sent them. */
export interface Answer extends AnswerHead {
  readonly body: Buffer
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
  #head: AnswerHead
  /** Undefined where the body is kept as text. */
  #body: Buffer | undefined
  #latin1: string | undefined

  constructor(answer: Answer, storedAtMs: number, freshForMs: number, loadMs = 0) {
    this.#head = answer
    this.#body = answer.body
    this.bodyBytes = answer.body.length
    this.storedAtMs = storedAtMs
    this.freshForMs = freshForMs
    this.loadMs = loadMs
  }

  get head(): AnswerHead {
    return this.#head
  }

  /** Made anew each time. */
  get answer(): Answer {
    return { ...this.#head, body: this.#body ?? Buffer.from(this.#latin1 ?? '', 'latin1') }
  }

  /** The bytes of the body as latin1, made once; undefined where they are many. */
  get latin1(): string | undefined {
    if (this.bodyBytes < maxLatin1Bytes) this.#latin1 ??= this.#body?.toString('latin1')
    return this.#latin1
  }

  /** It says that there is nothing (400, 404). Such an answer lives for its freshness and never beats another one. */
  get isNegative(): boolean {
    return this.#head.status >= 400
  }

  /**
   * For the tier that keeps it. What came from a socket is often a view of something larger (all that came at once, all
   * that a batch brought, a slab of Node's buffer pool), which would be kept for as long as the view is.
   */
  settle(): void {
    const { status, contentType, isFallback } = this.#head
    this.#head = { status, contentType: ownType(contentType), ...(isFallback && { isFallback }) }
    const body = this.#body
    // As text a short one costs less than as a Buffer, and most hits are sent as text.
    if (this.bodyBytes <= longestText && this.latin1 !== undefined) this.#body = undefined
    else if (body && body.buffer.byteLength !== body.length) this.#body = withOwnMemory(body)
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

/** Larger ones leave in several writes anyhow. */
const maxLatin1Bytes = 65_536
/** Larger bodies stay outside of the heap, where the collector does not move them about. */
const longestText = 4096

/** Most answers have the type of the one before. */
let lastType = ''

function ownType(contentType: string): string {
  if (contentType !== lastType) lastType = Buffer.from(contentType).toString()
  return lastType
}

function withOwnMemory(bytes: Buffer): Buffer {
  const own = Buffer.allocUnsafeSlow(bytes.length)
  bytes.copy(own)
  return own
}
