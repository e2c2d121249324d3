import { lookup } from 'node:dns/promises'
import { forgetOldest } from '@ipfleet/core/forget-oldest.ts'
import type { Clock } from '@ipfleet/core/clock.ts'
import { canonicalAddress } from './canonical-address.ts'
import { type TargetAddress, targetAddress, type TargetVerdict } from './target.ts'
import { errorCode } from '@ipfleet/core/error-code.ts'
import { within } from '@ipfleet/core/within.ts'

/** In any spelling. */
export interface LookedUp {
  readonly address: string
  /** How long it may be kept. Default: not at all. */
  readonly ttlSeconds?: number
  /** The whole name that it stands under, where a search domain was added to what was asked for. */
  readonly foundAs?: string
}

/** The addresses of a name, the best first. Rejects with a `code` when there are none. */
export type LookUp = (name: string) => Promise<readonly LookedUp[]>

/** As the system does it: /etc/hosts counts, and so do the search domains of resolv.conf. */
export const systemLookUp: LookUp = (name) => lookup(name, { all: true, order: 'verbatim' })

export type Found =
  | {
      readonly kind: 'addresses'
      readonly addresses: readonly TargetAddress[]
      /** See `LookedUp`. */
      readonly foundAs?: string
    }
  | Extract<TargetVerdict, { kind: 'unresolved' }>

export interface NameLookupsDeps {
  readonly lookUp: LookUp
  readonly clock: Clock
  /** How long a caller waits for an answer. */
  readonly timeoutMs: number
}

/** A name that was not found is not looked up again before this. */
const keepFailureMs = 1000
/** Whatever its records say: an operator who changes them expects that to be seen. */
const maxKeepMs = 300_000
const maxKept = 10_000
/** More than one client may ask for at a time, so that none shuts the others out with names whose servers are silent. */
const maxInFlight = 10_000
/** The system looks up a few at a time: beyond this, a look-up would hardly end in time. */
const maxInSystem = 1000

/** Looks names up, each once for all concurrent callers, and keeps answers for as long as their records allow. */
export class NameLookups {
  readonly #deps: NameLookupsDeps
  readonly #inFlight = new Map<string, Promise<Found>>()
  readonly #maxInFlight: number
  /** Oldest first. */
  readonly #kept = new Map<string, { readonly found: Found; readonly untilMs: number }>()

  constructor(deps: NameLookupsDeps) {
    this.#deps = deps
    this.#maxInFlight = deps.lookUp === systemLookUp ? maxInSystem : maxInFlight
  }

  /** Canonical, without repetitions, at least one. A promise only if the name must be looked up. Never rejects. */
  addressesOf(name: string): Found | Promise<Found> {
    const kept = this.#kept.get(name)
    if (kept !== undefined && this.#deps.clock.nowMs() < kept.untilMs) return kept.found
    const inFlight = this.#inFlight.get(name)
    if (inFlight === undefined && this.#inFlight.size >= this.#maxInFlight) return unresolved('EAI_AGAIN')
    return within(this.#deps.timeoutMs, inFlight ?? this.#start(name)).then((found) => found ?? late)
  }

  #start(name: string): Promise<Found> {
    const looking = this.#look(name)
    this.#inFlight.set(name, looking)
    return looking
  }

  async #look(name: string): Promise<Found> {
    const { found, keepMs } = await this.#deps.lookUp(name).then(read, failed)
    this.#inFlight.delete(name)
    this.#keep(name, found, keepMs)
    return found
  }

  #keep(name: string, found: Found, keepMs: number): void {
    this.#kept.delete(name)
    if (keepMs === 0) return
    this.#kept.set(name, { found, untilMs: this.#deps.clock.nowMs() + keepMs })
    forgetOldest(this.#kept, maxKept)
  }
}

/** A look-up cannot be aborted: it goes on, and later callers wait for the same one. */
const late: Found = { kind: 'unresolved', code: 'ETIMEOUT', timedOut: true }

interface Read {
  readonly found: Found
  readonly keepMs: number
}

function read(answer: readonly LookedUp[]): Read {
  const addresses = new Set(answer.map(({ address }) => canonicalAddress(address)).filter((one) => one !== undefined))
  if (addresses.size === 0) return { found: unresolved('ENODATA'), keepMs: keepFailureMs }
  const foundAs = answer[0]?.foundAs
  const shortestSeconds = Math.min(...answer.map(({ ttlSeconds = 0 }) => ttlSeconds))
  return {
    found: { kind: 'addresses', addresses: Array.from(addresses, targetAddress), ...(foundAs && { foundAs }) },
    keepMs: Math.min(maxKeepMs, 1000 * shortestSeconds),
  }
}

function failed(error: unknown): Read {
  return { found: unresolved(errorCode(error) ?? 'UNKNOWN'), keepMs: keepFailureMs }
}

function unresolved(code: string): Found {
  return { kind: 'unresolved', code, timedOut: code === 'ETIMEOUT' }
}
