/** Reads JSON (RFC 8259) as bytes, without making anything of it: what is not needed as a value costs no memory. */

const quote = 0x22
const backslash = 0x5c
const comma = 0x2c
const colon = 0x3a
const openObject = 0x7b
const closeObject = 0x7d
const openArray = 0x5b
const closeArray = 0x5d

/** No record is nested that deep; the depth of recursion must not be up to upstream. */
const maxNesting = 200

/** Where the next byte is that is no white space. */
export function afterSpace(bytes: Uint8Array, from: number): number {
  let at = from
  for (;;) {
    const byte = bytes[at]
    if (byte !== 0x20 && byte !== 0x0a && byte !== 0x0d && byte !== 0x09) return at
    at += 1
  }
}

/** Where the value ends that begins here; -1 for what is no value. */
export function afterValue(bytes: Uint8Array, at: number, depth = 0): number {
  switch (bytes[at]) {
    case quote:
      return afterString(bytes, at)
    case openObject:
      return depth < maxNesting ? afterList(bytes, at, closeObject, depth + 1) : -1
    case openArray:
      return depth < maxNesting ? afterList(bytes, at, closeArray, depth + 1) : -1
    case 0x74:
      return afterWord(bytes, at, 'true')
    case 0x66:
      return afterWord(bytes, at, 'false')
    case 0x6e:
      return afterWord(bytes, at, 'null')
    default:
      return afterNumber(bytes, at)
  }
}

/** Where the string ends whose quote is here; -1 for what is none. */
export function afterString(bytes: Uint8Array, from: number): number {
  if (bytes[from] !== quote) return -1
  let at = from + 1
  for (;;) {
    const byte = bytes[at]
    if (byte === quote) return at + 1
    // Control characters have to be escaped.
    if (byte === undefined || byte < 0x20) return -1
    at = byte === backslash ? afterEscape(bytes, at) : at + 1
    if (at === -1) return -1
  }
}

function afterEscape(bytes: Uint8Array, at: number): number {
  switch (bytes[at + 1]) {
    case quote:
    case backslash:
    case 0x2f: // slash
    case 0x62: // b
    case 0x66: // f
    case 0x6e: // n
    case 0x72: // r
    case 0x74: // t
      return at + 2
    case 0x75: // u and four digits
      return [2, 3, 4, 5].every((offset) => isHex(bytes[at + offset])) ? at + 6 : -1
    default:
      return -1
  }
}

/** An object or an array, from its first bracket on. */
function afterList(bytes: Uint8Array, from: number, close: number, depth: number): number {
  let at = afterSpace(bytes, from + 1)
  if (bytes[at] === close) return at + 1
  for (;;) {
    if (close === closeObject) at = afterName(bytes, at)
    at = at === -1 ? -1 : afterValue(bytes, at, depth)
    if (at === -1) return -1
    at = afterSpace(bytes, at)
    if (bytes[at] === close) return at + 1
    if (bytes[at] !== comma) return -1
    at = afterSpace(bytes, at + 1)
  }
}

/** Where the value begins of the member whose name is here; -1 if there is none. */
export function afterName(bytes: Uint8Array, from: number): number {
  const end = afterString(bytes, from)
  const at = end === -1 ? -1 : afterSpace(bytes, end)
  return at !== -1 && bytes[at] === colon ? afterSpace(bytes, at + 1) : -1
}

function afterWord(bytes: Uint8Array, from: number, word: string): number {
  for (let at = 0; at < word.length; at += 1) if (bytes[from + at] !== word.charCodeAt(at)) return -1
  return from + word.length
}

function afterNumber(bytes: Uint8Array, from: number): number {
  let at = bytes[from] === 0x2d ? from + 1 : from
  // No zeros in front.
  at = bytes[at] === 0x30 ? at + 1 : afterDigits(bytes, at)
  if (at !== -1 && bytes[at] === 0x2e) at = afterDigits(bytes, at + 1)
  if (at === -1 || (bytes[at] !== 0x65 && bytes[at] !== 0x45)) return at
  const sign = bytes[at + 1]
  return afterDigits(bytes, sign === 0x2b || sign === 0x2d ? at + 2 : at + 1)
}

/** At least one. */
function afterDigits(bytes: Uint8Array, from: number): number {
  let at = from
  while (isDigit(bytes[at])) at += 1
  return at === from ? -1 : at
}

const isDigit = (byte: number | undefined): boolean => byte !== undefined && byte >= 0x30 && byte <= 0x39

function isHex(byte: number | undefined): boolean {
  return isDigit(byte) || (byte !== undefined && (byte | 0x20) >= 0x61 && (byte | 0x20) <= 0x66)
}
