import { addressBlocks } from './address-blocks.ts'
import { parseCidr } from './cidr.ts'
import { cidrBlocks } from '@ipfleet/settings/cidr-blocks.ts'
import { textualList } from '@ipfleet/settings/kinds.ts'
import { readHost } from './authority.ts'

const targetItemInWords =
  'a name, *.example.com (all below it), .example.com (it and all below), an address, a block, loopback, linklocal or private'

/** One item of a list of targets, in the spelling that `TargetList` takes; several for a word. Undefined if it is none. */
export function readTargetItem(text: string): readonly string[] | undefined {
  const blocks = cidrBlocks(text)
  if (blocks !== undefined) return blocks.flatMap(plainBlock)
  const [, sign = '', name = ''] = /^(\*?\.|)(.*)$/s.exec(text) ?? []
  const host = readHost(name)
  return host === undefined || host.isAddress ? undefined : [sign + host.host]
}

/** A setting that holds such a list, empty where it is unset. */
export const targetList = (options: { readonly help: string }) =>
  textualList({ ...options, optional: true, read: readTargetItem, allowed: targetItemInWords })

/** A block of IPv4-mapped addresses is one of IPv4 here, as the addresses are. */
function plainBlock(text: string): readonly string[] {
  const block = parseCidr(text)
  return block === undefined ? [] : [`${block.network.toString()}/${block.bits}`]
}

export class TargetList {
  readonly #names = new Set<string>()
  /** Domains of which every name below is meant. */
  readonly #domains = new Set<string>()
  readonly #isInBlock: (address: string) => boolean

  /** Items as `readTargetItem` gives them. */
  constructor(items: readonly string[]) {
    this.#isInBlock = addressBlocks(items.filter((item) => item.includes('/')))
    for (const item of items.filter((one) => !one.includes('/'))) this.#addName(item)
  }

  /** A name in lower case, without a final dot. */
  hasName(name: string): boolean {
    if (this.#names.has(name)) return true
    if (this.#domains.size === 0) return false
    for (let dot = name.indexOf('.'); dot >= 0; dot = name.indexOf('.', dot + 1)) {
      if (this.#domains.has(name.slice(dot + 1))) return true
    }
    return false
  }

  /** An address in canonical spelling. */
  hasAddress(address: string): boolean {
    return this.#isInBlock(address)
  }

  #addName(item: string): void {
    const domain = item.replace(/^\*?\./, '')
    if (domain !== item) this.#domains.add(domain)
    if (!item.startsWith('*')) this.#names.add(domain)
  }
}
