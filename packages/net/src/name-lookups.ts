import { lookup } from 'node:dns/promises'
import type { Clock } from '@ipfleet/core/clock.ts'
import { canonicalAddress } from './canonical-address.ts'
import { type TargetAddress, targetAddress, type TargetVerdict } from './target.ts'
import { errorCode } from '@ipfleet/core/error-code.ts'
import { within } from '@ipfleet/core/within.ts'

/** The addresses of a name, the best first, in any spelling. Rejects with a `code` when there are none. */
export type LookUp = (name: string) => Promise<readonly { readonly address: string }[]>

/** As the system does it: /etc/hosts counts, and so do the search domains of resolv.conf. */
export const systemLookUp: LookUp = (name) => lookup(name, { all: true, order: 'verbatim' })

export type Found =
  | { readonly kind: 'addresses'; readonly addresses: readonly TargetAddress[] }
  | Extract<TargetVerdict, { kind: 'unresolved' }>

export interface NameLookupsDeps {
  readonly lookUp: LookUp
  readonly clock: Clock
  /** How long a caller waits for an answer. */
  readonly timeoutMs: number
}

/** A name that was not found is not looked up again before this. */
const rememberFailureMs = 1000
const maxFailures = 1000
/** The system looks up four at a time; beyond this, a look-up would not end in time. */
const maxInFlight = 1000

/**
 * Looks names up, each once for all concurrent callers. Answers are not kept: the addresses that were checked are the
 * ones that are dialled, and the next connection looks the name up again.
 */
export class NameLookups {
  readonly #deps: NameLookupsDeps
  readonly #inFlight = new Map<string, Promise<Found>>()
  /** Oldest first. */
  readonly #failures = new Map<string, { readonly found: Found; readonly untilMs: number }>()

  constructor(deps: NameLookupsDeps) {
    this.#deps = deps
  }

  /** Canonical, without repetitions, at least one. Never rejects. */
  async addressesOf(name: string): Promise<Found> {
    const failure = this.#failures.get(name)
    if (failure !== undefined && this.#deps.clock.nowMs() < failure.untilMs) return failure.found
    const inFlight = this.#inFlight.get(name)
    if (inFlight === undefined && this.#inFlight.size >= maxInFlight) return unresolved('EAI_AGAIN')
    return (await within(this.#deps.timeoutMs, inFlight ?? this.#start(name))) ?? late
  }

  #start(name: string): Promise<Found> {
    const looking = this.#look(name)
    this.#inFlight.set(name, looking)
    return looking
  }

  async #look(name: string): Promise<Found> {
    const found = await this.#deps
      .lookUp(name)
      .then(read, (error: unknown) => unresolved(errorCode(error) ?? 'UNKNOWN'))
    this.#inFlight.delete(name)
    this.#failures.delete(name)
    if (found.kind === 'unresolved') this.#remember(name, found)
    return found
  }

  #remember(name: string, found: Found): void {
    this.#failures.set(name, { found, untilMs: this.#deps.clock.nowMs() + rememberFailureMs })
    if (this.#failures.size <= maxFailures) return
    const [oldest] = this.#failures.keys()
    if (oldest !== undefined) this.#failures.delete(oldest)
  }
}

/** A look-up cannot be aborted: it goes on, and later callers wait for the same one. */
const late: Found = { kind: 'unresolved', code: 'ETIMEOUT', timedOut: true }

function read(answer: readonly { readonly address: string }[]): Found {
  const addresses = new Set(answer.map(({ address }) => canonicalAddress(address)).filter((one) => one !== undefined))
  if (addresses.size === 0) return unresolved('ENODATA')
  return { kind: 'addresses', addresses: Array.from(addresses, targetAddress) }
}

function unresolved(code: string): Found {
  return { kind: 'unresolved', code, timedOut: false }
}
