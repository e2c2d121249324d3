import { addressKind, carriedAddresses } from './address-kind.ts'
import type { Found, NameLookups } from './name-lookups.ts'
import type { OwnAddresses } from './own-addresses.ts'
import { includesPort, type PortRange } from './port-ranges.ts'
import type { TargetList } from './target-list.ts'
import { nameAddress, type Target, type TargetAddress, targetAddress, type TargetVerdict } from './target.ts'

export interface TargetPolicyDeps {
  /** Where CONNECT may go. */
  readonly connectPorts: readonly PortRange[]
  readonly allow: TargetList
  readonly deny: TargetList
  readonly own: OwnAddresses
  /** Undefined: names are not looked up, since they are sent to other proxies. */
  readonly names: NameLookups | undefined
}

type Reason = Extract<TargetVerdict, { kind: 'refused' }>['reason']

/**
 * Decides where connections may go. A name is looked up once, and only addresses that were checked are returned. The
 * rules, in this order:
 * 1. CONNECT goes to the ports it may go to, whatever the target.
 * 2. What is denied, by name (also with the search domain that it is found in), by address or by an address inside that,
 *    stays denied even if it is allowed too.
 * 3. Nothing leads to where this process listens: the request would loop.
 * 4. What is allowed, by address or by name (then with all of its addresses), may be private or this machine's.
 * 5. Everything else must be public, and not this machine.
 */
export class TargetPolicy {
  readonly #deps: TargetPolicyDeps

  constructor(deps: TargetPolicyDeps) {
    this.#deps = deps
  }

  /** A promise only if a name must be looked up. */
  judge({ host, port, isAddress }: Target, method: 'connect' | 'forward'): TargetVerdict | Promise<TargetVerdict> {
    const { connectPorts, deny, names } = this.#deps
    if (method === 'connect' && !includesPort(connectPorts, port)) return refused('port')
    if (isAddress) {
      const reason = this.#whyNot(host, port, false)
      return reason === undefined ? { kind: 'allowed', addresses: [targetAddress(host)] } : refused(reason)
    }
    if (deny.hasName(host)) return refused('denied')
    if (names === undefined) return this.#judgeName(host)
    const found = names.addressesOf(host)
    return found instanceof Promise
      ? found.then((later) => this.#judgeFound(host, port, later))
      : this.#judgeFound(host, port, found)
  }

  #judgeFound(host: string, port: number, found: Found): TargetVerdict {
    if (found.kind === 'unresolved') return found
    if (found.foundAs !== undefined && this.#deps.deny.hasName(found.foundAs)) return refused('denied')
    const isAllowed = this.#deps.allow.hasName(host)
    const judged = found.addresses.map((one) => ({ one, reason: this.#whyNot(one.address, port, isAllowed) }))
    const addresses = judged.filter(({ reason }) => reason === undefined).map(({ one }) => one)
    if (addresses.length > 0) return { kind: 'allowed', addresses: interleaved(addresses) }
    return refused(judged.map(({ reason }) => reason).find((reason) => reason !== undefined) ?? 'private')
  }

  /** Of names, only those of RFC 6761 §6.3 are known to be a machine's own. */
  #judgeName(host: string): TargetVerdict {
    const isOwn = /(?:^|\.)localhost$/.test(host) && !this.#deps.allow.hasName(host)
    return isOwn ? refused('private') : { kind: 'allowed', addresses: [nameAddress(host)] }
  }

  #whyNot(address: string, port: number, isAllowed: boolean): Reason | undefined {
    const { allow, deny, own } = this.#deps
    const carried = carriedAddresses(address)
    if (deny.hasAddress(address) || carried.some((one) => deny.hasAddress(one))) return 'denied'
    if (own.listensAt(address, port) || carried.some((one) => own.listensAt(one, port))) return 'own'
    if (isAllowed || allow.hasAddress(address)) return undefined
    if (addressKind(address) !== 'public') return 'private'
    return own.has(address) || carried.some((one) => own.has(one)) ? 'own' : undefined
  }
}

function refused(reason: Reason): TargetVerdict {
  return { kind: 'refused', reason }
}

/**
 * The same addresses with the families taking turns, so that one family that leads nowhere costs one attempt and not all
 * (RFC 8305 §4). The family of the first address, which the resolver thinks best (RFC 6724), begins.
 */
export function interleaved(addresses: readonly TargetAddress[]): readonly TargetAddress[] {
  if (addresses.length === 1) return addresses
  const first = addresses.filter(({ family }) => family === addresses[0]?.family)
  const second = addresses.filter(({ family }) => family !== addresses[0]?.family)
  return Array.from({ length: Math.max(first.length, second.length) }, (_, index) => [first[index], second[index]])
    .flat()
    .filter((one) => one !== undefined)
}
