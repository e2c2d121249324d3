import type { Pauses } from './pauses.ts'

const everyMs = 1000
const timeoutMs = 1000
/** Longer than it takes to look again. */
const pauseMs = everyMs + timeoutMs + 500

/**
 * Looks at the fleet's `/health` while there is work, and pauses while upstream's breaker is open or every key is
 * benched: what is left of them is for live look-ups. A fleet that does not say is none that has to be spared.
 */
export class FleetWatch {
  readonly #url: URL
  readonly #pauses: Pauses
  readonly #isBusy: () => boolean
  #timer: NodeJS.Timeout | undefined

  constructor(url: string, pauses: Pauses, isBusy: () => boolean) {
    this.#url = new URL('/health', url)
    this.#pauses = pauses
    this.#isBusy = isBusy
  }

  start(): void {
    this.#timer = setInterval(() => {
      if (this.#isBusy()) void this.#look()
    }, everyMs).unref()
  }

  close(): void {
    clearInterval(this.#timer)
  }

  async #look(): Promise<void> {
    const health = await this.#read()
    if (health?.upstream?.breaker === 'open') this.#pauses.pause('upstream', pauseMs)
    const { total = 0, active = 0 } = health?.keys ?? {}
    if (total > 0 && active === 0) this.#pauses.pause('keys', pauseMs)
  }

  async #read(): Promise<Health | undefined> {
    try {
      const response = await fetch(this.#url, { redirect: 'manual', signal: AbortSignal.timeout(timeoutMs) })
      return (await response.json()) as Health
    } catch {
      return undefined
    }
  }
}

/** As far as it is looked at; what answers may be anything. */
interface Health {
  readonly upstream?: { readonly breaker?: string }
  readonly keys?: { readonly total?: number; readonly active?: number }
}
