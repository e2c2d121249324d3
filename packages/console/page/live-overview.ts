import type { Overview } from '../src/contract.ts'
import { readSession, Refusal } from './ask.ts'

export interface LiveOverviewOptions {
  readonly onOverview: (overview: Overview) => void
  /** Since when nothing has come; undefined: it is live. */
  readonly onStale: (since: Date | undefined) => void
  readonly onLoggedOut: () => void
}

/** An overview comes every two seconds: when so many are missing, what is shown is stale. */
const maxSilenceMs = 7000
const retryMs = 3000

/** Follows the overview by server-sent events for as long as the page is seen, and connects again by itself. */
export class LiveOverview {
  readonly #options: LiveOverviewOptions
  #source: EventSource | undefined
  #lastAt = new Date()
  #silence = 0
  #retry = 0

  constructor(options: LiveOverviewOptions) {
    this.#options = options
    // A page in the background holds no connection: a browser has six for a server, and a session has five streams.
    document.addEventListener('visibilitychange', () => this.open())
  }

  open(): void {
    this.#close()
    // Nothing is drawn of a page that is not seen.
    if (document.hidden) return
    this.#source = new EventSource('/console/api/events')
    this.#source.addEventListener('overview', (event: MessageEvent<string>) => this.#show(event.data))
    this.#source.addEventListener('error', () => this.#onBroken())
    this.#awaitNext()
  }

  #close(): void {
    clearTimeout(this.#silence)
    clearTimeout(this.#retry)
    this.#source?.close()
    this.#source = undefined
  }

  #show(data: string): void {
    this.#lastAt = new Date()
    this.#awaitNext()
    this.#options.onStale(undefined)
    this.#options.onOverview(JSON.parse(data) as Overview)
  }

  /** A connection that is half dead says nothing, and breaks by itself only after minutes. */
  #awaitNext(): void {
    clearTimeout(this.#silence)
    this.#silence = setTimeout(() => this.#onBroken(), maxSilenceMs)
  }

  #onBroken(): void {
    this.#close()
    this.#options.onStale(this.#lastAt)
    this.#retry = setTimeout(() => void this.#reconnect(), retryMs)
  }

  /** An EventSource does not tell a status: the session says whether this one is still logged in. */
  async #reconnect(): Promise<void> {
    try {
      await readSession()
    } catch (error) {
      if (error instanceof Refusal && error.status === 401) this.#options.onLoggedOut()
      else this.#onBroken()
      return
    }
    this.open()
  }
}
