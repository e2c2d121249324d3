import { keyOfRange } from '@ipfleet/core/rendezvous-draw.ts'

const dot = 0x2e
const slash = 0x2f
const zero = 0x30
const nine = 0x39
const colon = 0x3a
const questionMark = 0x3f
const lowerA = 0x61
const lowerF = 0x66
/** The bit that makes an ASCII letter lower case, and that digits, colon and dot have anyway. */
const lowerCaseBit = 0x20

/**
 * 32 bits for what a request target is about, the same on every edge: the first path segment that has the form of an
 * IP address, so that `/8.8.8.8`, `/8.8.8.8/json`, `/lite/8.8.8.8` and `/8.8.8.8/city?token=x` are one key; without
 * one, the path without its query. Two spellings of an IPv6 address are one key when they differ in letter case only.
 */
export function pathKey(target: string): number {
  let start = 1
  for (let index = 1; ; index += 1) {
    const code = index < target.length ? target.charCodeAt(index) : questionMark
    if (code !== slash && code !== questionMark) continue
    if (isAddressLike(target, start, index)) return keyOfRange(target, start, index, lowerCaseBit)
    if (code === questionMark) return keyOfRange(target, 0, Math.min(index, target.length), 0)
    start = index + 1
  }
}

/** Form only: a request for 300.1.1.1 may as well be sent by it. */
function isAddressLike(text: string, start: number, end: number): boolean {
  let dots = 0
  let colons = 0
  let letters = 0
  for (let index = start; index < end; index += 1) {
    const code = text.charCodeAt(index)
    if (code === dot) dots += 1
    else if (code === colon) colons += 1
    else if (isHexLetter(code | lowerCaseBit)) letters += 1
    else if (code < zero || code > nine) return false
  }
  return colons >= 2 || (dots === 3 && colons === 0 && letters === 0)
}

function isHexLetter(code: number): boolean {
  return code >= lowerA && code <= lowerF
}
