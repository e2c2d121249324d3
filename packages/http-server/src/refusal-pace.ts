import { Counts } from '@ipfleet/core/counts.ts'

/** So many refusals of one client leave at once, and again after it has waited: an application that is over its share. */
const maxAtOnce = 100
/** Beyond them, each client is refused once in this time. */
const everyMs = 10
/** Of one client. Further ones leave at once: what waits holds a connection. */
const maxWaiting = 2000
/** Refusals of connections that are gone meanwhile cost little, but not nothing. */
const maxGoneAtOnce = 20

interface Waiting {
  readonly isGone: () => boolean
  readonly resolve: () => void
}

/**
 * Spreads the refusals of clients that do not heed them. A client that holds as much as one client may, and comes again
 * as soon as it is refused, has each refusal cost a connection, a request and a line in the log. Its refusals wait, so
 * that it waits, and not the others.
 */
export class RefusalPace {
  /** Refusals that have left lately, by client. One is forgotten each time a client could have been refused. */
  readonly #recent = new Counts()
  readonly #waiting = new Map<string, Waiting[]>()
  #timer: NodeJS.Timeout | undefined

  /**
   * @param isGone whether no client waits for the refusal any longer
   * @returns undefined where the client may be refused at once, else a promise that resolves when it is its turn
   */
  turn(client: string, isGone: () => boolean): Promise<void> | undefined {
    this.#timer ??= setInterval(() => this.#next(), everyMs).unref()
    const line = this.#waiting.get(client) ?? []
    if (line.length >= maxWaiting) return undefined
    if (line.length === 0 && this.#recent.of(client) < maxAtOnce) {
      this.#recent.add(client, 1)
      return undefined
    }
    const { promise, resolve } = Promise.withResolvers<void>()
    line.push({ isGone, resolve })
    this.#waiting.set(client, line)
    return promise
  }

  #next(): void {
    for (const client of this.#recent.names()) {
      const line = this.#waiting.get(client)
      // Who is refused now counts in the place of the one that is forgotten.
      if (line === undefined) this.#recent.add(client, -1)
      else release(line)
      if (line?.length === 0) this.#waiting.delete(client)
    }
    if (this.#recent.isEmpty) this.#stop()
  }

  #stop(): void {
    clearInterval(this.#timer)
    this.#timer = undefined
  }
}

/** The first, and those before it that are gone. */
function release(line: Waiting[]): void {
  for (let count = 0; count < maxGoneAtOnce; count += 1) {
    const first = line.shift()
    first?.resolve()
    if (first?.isGone() !== true) return
  }
}
