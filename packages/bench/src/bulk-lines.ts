import { createWriteStream } from 'node:fs'
import { once } from 'node:events'

export interface BulkLines {
  readonly lines: number
  /** Different addresses among them. */
  readonly distinct: number
}

/** Of the lines, and of the addresses. */
const malformedShare = 0.01
const ipv6Share = 0.1

/**
 * Line `at` of a list as logs are: addresses of which most come again, some of them of IPv6, and now and then something
 * else. Always the same ones; each address comes once in the first lines, and by chance after that.
 */
export function bulkLine(at: number, { distinct }: BulkLines): string {
  if (hashed(at) < malformedShare * 2 ** 32) return `-/${at}`
  const number = at < distinct ? at : hashed(at + 1) % distinct
  if (hashed(number + 7) < ipv6Share * 2 ** 32)
    return `2001:470:${(number >> 16).toString(16)}:${(number & 65_535).toString(16)}::1`
  return `11.${(number >> 16) & 255}.${(number >> 8) & 255}.${number & 255}`
}

/** Writes the list. @returns how many different addresses there are in it, and how many lines that are none */
export async function writeBulkLines(path: string, list: BulkLines): Promise<{ addresses: number; malformed: number }> {
  const file = createWriteStream(path)
  const addresses = new Set<string>()
  let malformed = 0
  for (let at = 0; at < list.lines; at += 1) {
    const line = bulkLine(at, list)
    if (line.startsWith('-')) malformed += 1
    else addresses.add(line)
    if (!file.write(`${line}\n`)) await once(file, 'drain')
  }
  file.end()
  await once(file, 'finish')
  return { addresses: addresses.size, malformed }
}

/** Thirty-two bits that look like chance (the finalizer of MurmurHash3). */
function hashed(number: number): number {
  let bits = Math.imul(number ^ (number >>> 16), 0x85_eb_ca_6b)
  bits = Math.imul(bits ^ (bits >>> 13), 0xc2_b2_ae_35)
  return (bits ^ (bits >>> 16)) >>> 0
}
