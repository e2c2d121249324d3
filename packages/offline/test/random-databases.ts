import type { RawRecord } from '../src/facts.ts'
import { randomNumbers } from '@ipfleet/testing/random-numbers.ts'
import { type MmdbValue, type TinyMmdb, tinyMmdb } from '@ipfleet/testing/tiny-mmdb.ts'

export interface RandomDatabase {
  readonly name: string
  readonly bytes: Buffer
  /** In its networks, at their edges and outside of them. */
  readonly addresses: readonly string[]
  /** What is in it of an address, by looking through all networks. */
  readonly recordOf: (address: string) => RawRecord | undefined
}

interface Network {
  readonly first: bigint
  readonly last: bigint
  readonly isIpv6: boolean
  readonly text: string
  readonly record: { readonly [name: string]: MmdbValue }
}

/** Databases of every form, with the same networks for the same seed. */
export function randomDatabases(networksEach: number): readonly RandomDatabase[] {
  const random = randomNumbers(20_260_601)
  const forms = [24, 28, 32].flatMap((recordSize) => [
    { recordSize, ipVersion: 4, aliased: false },
    { recordSize, ipVersion: 6, aliased: false },
    { recordSize, ipVersion: 6, aliased: true },
  ]) as Required<Pick<TinyMmdb, 'recordSize' | 'ipVersion' | 'aliased'>>[]
  return forms.map((form) => {
    const networks = Array.from({ length: networksEach }, (_, at) =>
      networkOf(at, form.ipVersion === 6 && at % 2 === 1, random),
    )
    const name = `IPv${form.ipVersion} ${form.recordSize} bits${form.aliased ? ' aliased' : ''}`
    const records = networks.map(({ text, record }) => [text, record] as const)
    const addresses = networks.flatMap(({ first, last, isIpv6 }) =>
      [first, last, first - 1n, last + 1n, first + (last - first) / 2n].map((at) => addressOf(at, isIpv6)),
    )
    return {
      name,
      bytes: tinyMmdb({ ...form, type: name, records }),
      addresses,
      recordOf: (address) => {
        const isIpv6 = address.includes(':')
        const at = numberOf(address)
        return networks.find((one) => one.isIpv6 === isIpv6 && one.first <= at && at <= one.last)?.record
      },
    }
  })
}

/** Each within its own /16 (IPv4) or /32 (IPv6). */
function networkOf(at: number, isIpv6: boolean, random: () => number): Network {
  const [bits, block] = isIpv6 ? [128, 32] : [32, 16]
  const length = block + Math.floor(random() * (bits - block + 1))
  const start = isIpv6 ? 0x2a00_0000n + BigInt(at) * 3n : 0x0100n + BigInt(at) * 7n
  const size = 1n << BigInt(bits - length)
  const inBlock = BigInt(Math.floor(random() * 2 ** 30)) % (1n << BigInt(length - block))
  const first = (start << BigInt(bits - block)) + inBlock * size
  return {
    first,
    last: first + size - 1n,
    isIpv6,
    text: `${addressOf(first, isIpv6)}/${length}`,
    record: recordAt(at, random),
  }
}

/** Of all types that the format has for facts. */
function recordAt(at: number, random: () => number): Network['record'] {
  return {
    country_code: ['DE', 'FR', 'US', 'JP'][at % 4] ?? '',
    city: { names: { en: `Town ${at} ü` } },
    subdivisions: [{ iso_code: 'A', names: { en: 'Region' } }],
    latitude: random() * 180 - 90,
    longitude: String(at),
    asn: at * 9973,
    as_name: at % 5 === 0 ? '' : `Network ${at % 50}`,
    is_vpn: at % 3 === 0,
    is_proxy: at % 2 === 0,
  }
}

function addressOf(at: bigint, isIpv6: boolean): string {
  if (isIpv6) return (at.toString(16).padStart(32, '0').match(/.{4}/g) ?? []).join(':')
  return [24n, 16n, 8n, 0n].map((shift) => (at >> shift) & 255n).join('.')
}

function numberOf(address: string): bigint {
  if (address.includes(':')) return BigInt(`0x${address.replaceAll(':', '')}`)
  return address.split('.').reduce((sum, octet) => sum * 256n + BigInt(octet), 0n)
}
