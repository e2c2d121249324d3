import type { Response } from 'express'
import { ProxyError } from '@ipfleet/core/proxy-error.ts'
import { Counts } from '@ipfleet/core/counts.ts'

export interface EventStreamsOptions {
  /** The data of the next event, as JSON of one line. */
  readonly next: () => Promise<string>
  /** Ends all streams: this process stops. */
  readonly closing: AbortSignal
  readonly everyMs?: number
}

interface Stream {
  readonly res: Response
  readonly isAllowed: () => Promise<boolean>
}

const maxPerSession = 5
const maxInAll = 100
/** A client that takes no events is disconnected when so much waits for it. */
const maxHeldBytes = 4 * 1024 * 1024

export const eventHeaders: Readonly<Record<string, string>> = {
  'Content-Type': 'text/event-stream; charset=utf-8',
  // Compression on the way would hold events back until there are more.
  'Cache-Control': 'no-store, no-transform',
  'X-Accel-Buffering': 'no',
}

/**
 * Overviews as server-sent events (WHATWG HTML §9.2). Their places are their own, so that they take none from look-ups.
 * Each event is made once for all, and is a heartbeat at the same time.
 */
export class EventStreams {
  readonly #options: EventStreamsOptions
  readonly #streams = new Set<Stream>()
  readonly #bySession = new Counts()
  #timer: NodeJS.Timeout | undefined

  constructor(options: EventStreamsOptions) {
    this.#options = options
    options.closing.addEventListener('abort', () => {
      clearInterval(this.#timer)
      for (const { res } of this.#streams) res.end()
    })
  }

  /** @param isAllowed whether the session still holds. @throws ProxyError `client_share`, `overloaded` */
  open(res: Response, session: string, isAllowed: () => Promise<boolean>): void {
    // A client that left while its session was looked for would never give its place back.
    if (res.destroyed) return
    if (this.#bySession.of(session) >= maxPerSession) throw new ProxyError('client_share', { retryAfterSeconds: 5 })
    if (this.#streams.size >= maxInAll || this.#options.closing.aborted) {
      throw new ProxyError('overloaded', { retryAfterSeconds: 5 })
    }
    const stream = { res, isAllowed }
    this.#streams.add(stream)
    this.#bySession.add(session, 1)
    res.once('close', () => {
      this.#streams.delete(stream)
      this.#bySession.add(session, -1)
      if (this.#streams.size > 0) return
      clearInterval(this.#timer)
      this.#timer = undefined
    })
    res.set(eventHeaders).flushHeaders()
    void this.#send([stream])
    this.#timer ??= setInterval(() => void this.#send([...this.#streams]), this.#options.everyMs ?? 2000).unref()
  }

  /** Never rejects. */
  async #send(streams: readonly Stream[]): Promise<void> {
    const event = await this.#options.next().then(
      (data) => `event: overview\ndata: ${data}\n\n`,
      () => ': nothing new\n\n',
    )
    await Promise.all(streams.map((stream) => sendTo(stream, event)))
  }
}

async function sendTo({ res, isAllowed }: Stream, event: string): Promise<void> {
  const holds = await isAllowed().catch(() => false)
  if (res.writableEnded || res.destroyed) return
  if (!holds) res.end()
  else if (res.writableLength > maxHeldBytes) res.destroy()
  // A slow client gets no outdated event: it gets the next one.
  else if (!res.writableNeedDrain) res.write(event)
}
