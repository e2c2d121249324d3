import type { LookupGate } from './lookup-gate.ts'

const everyMs = 1000
const timeoutMs = 1000
/** Longer than until the next look has an answer. */
const pauseMs = everyMs + timeoutMs + 500

/** As far as it is read; what answers may be anything. */
interface Health {
  readonly upstream?: { readonly breaker?: string }
  readonly keys?: { readonly total?: number; readonly active?: number }
}

/**
 * Reads the fleet's `/health` while there is work, and pauses while upstream's breaker is open or all keys are benched:
 * what is left of them is for live look-ups. A fleet without that answer does not pause the work.
 */
export class FleetWatch {
  readonly #url: URL
  readonly #gate: Pick<LookupGate, 'pause'>
  readonly #isBusy: () => boolean
  #timer: NodeJS.Timeout | undefined

  constructor(url: string, gate: Pick<LookupGate, 'pause'>, isBusy: () => boolean) {
    this.#url = new URL('/health', url)
    this.#gate = gate
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

  /** Never rejects. */
  async #look(): Promise<void> {
    try {
      const response = await fetch(this.#url, { redirect: 'manual', signal: AbortSignal.timeout(timeoutMs) })
      const health = (await response.json()) as Health | null
      if (health?.upstream?.breaker === 'open') this.#gate.pause('upstream', pauseMs)
      const { total = 0, active = 0 } = health?.keys ?? {}
      if (total > 0 && active === 0) this.#gate.pause('keys', pauseMs)
    } catch {
      // No answer.
    }
  }
}
