import { networkInterfaces } from 'node:os'
import type { Clock } from '@ipfleet/core/clock.ts'
import { addressBlocks } from './address-blocks.ts'
import { addressKind } from './address-kind.ts'
import { canonicalAddress } from './canonical-address.ts'

/** Where a server of this process listens: an address, `0.0.0.0` or `::` for all of them. */
export interface ListeningAt {
  readonly host: string
  readonly port: number
}

export interface OwnAddressesDeps {
  readonly clock: Clock
  /** Blocks of which every address is this machine's, though no interface lists them: the prefixes of the pool. */
  readonly blocks: readonly string[]
  /** The addresses of the interfaces, in any spelling. */
  readonly list?: () => readonly string[]
}

/** The addresses of this machine, as they are now, and where this process listens. */
export class OwnAddresses {
  readonly #isInBlock: (address: string) => boolean
  readonly #listed: () => ReadonlySet<string>
  readonly #listeners: ListeningAt[] = []

  constructor({ clock, blocks, list = interfaceAddresses }: OwnAddressesDeps) {
    this.#isInBlock = addressBlocks(blocks)
    this.#listed = remembered(
      () => new Set(list().map((one) => canonicalAddress(one) ?? one)),
      () => clock.nowMs(),
    )
  }

  /** Called once a server listens: only then is its port known. */
  addListener(listening: ListeningAt): void {
    this.#listeners.push({ ...listening, host: canonicalAddress(listening.host) ?? listening.host })
  }

  /** Whether an interface has the address, which is in canonical spelling, or could have it. */
  has(address: string): boolean {
    return this.#listed().has(address) || this.#isInBlock(address)
  }

  /** Whether a connection there would arrive at a server of this process. */
  listensAt(address: string, port: number): boolean {
    return this.#listeners.some((one) => one.port === port && this.#leadsTo(one.host, address))
  }

  /** Connecting to `0.0.0.0` or `::` is connecting to this machine; all of 127.0.0.0/8 is it as well. */
  #leadsTo(host: string, address: string): boolean {
    if (host === address || addressKind(address) === 'unspecified') return true
    return addressKind(host) === 'unspecified' && (addressKind(address) === 'loopback' || this.has(address))
  }
}

/** Of all interfaces, in the system's spelling. */
export function interfaceAddresses(): readonly string[] {
  return Object.values(networkInterfaces()).flatMap((addresses = []) => addresses.map(({ address }) => address))
}

/** Listing hundreds of addresses takes the system up to a millisecond. */
const rememberMs = 5000

/**
 * What is made of the addresses of the interfaces, made anew after a while. When they cannot be listed, for want of a
 * descriptor, those of before stand.
 */
export function remembered<Value>(make: () => Value, nowMs: () => number): () => Value {
  let kept: { readonly value: Value; readonly madeMs: number } | undefined
  return () => {
    if (kept !== undefined && nowMs() - kept.madeMs < rememberMs) return kept.value
    kept = { value: kept === undefined ? make() : madeOr(kept.value, make), madeMs: nowMs() }
    return kept.value
  }
}

function madeOr<Value>(before: Value, make: () => Value): Value {
  try {
    return make()
  } catch {
    return before
  }
}
