import type { UpstreamFaultKind } from '@ipfleet/proxy/http1/upstream-fault.ts'
import type { AttemptEnd } from '../backends/backend.ts'

export type AttemptCounts = Record<AttemptEnd, number>

/** Backends come and go with the names they hide behind; of those beyond this number the oldest are forgotten. */
const maxBackends = 1000

/** How attempts at backends ended, and why requests were sent to another one. */
export class AttemptsRecord {
  readonly byBackend = new Map<string, AttemptCounts>()
  readonly retries = new Map<UpstreamFaultKind, number>()
  /** Requests asked elsewhere too because of a silent backend, and those that the other one answered first. */
  readonly hedges = { begun: 0, won: 0 }

  end(backend: string, end: AttemptEnd): void {
    const counts = this.byBackend.get(backend) ?? this.#add(backend)
    counts[end] += 1
  }

  retry(why: UpstreamFaultKind): void {
    this.retries.set(why, (this.retries.get(why) ?? 0) + 1)
  }

  #add(backend: string): AttemptCounts {
    const counts = { answered: 0, failed: 0, unknown: 0 }
    this.byBackend.set(backend, counts)
    if (this.byBackend.size > maxBackends) {
      const [oldest] = this.byBackend.keys()
      if (oldest !== undefined) this.byBackend.delete(oldest)
    }
    return counts
  }
}
