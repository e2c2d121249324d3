import { addressBlocks } from '@ipfleet/net/address-blocks.ts'
import type { ConsoleConfig } from '../config/edge-config.ts'

const slash = 0x2f
const questionMark = 0x3f
const lowerCaseBit = 0x20

/** Where some server or other ends a segment, once it has decoded it; U+FFFD stands for bytes that are not UTF-8. */
// oxlint-disable-next-line no-control-regex -- a NUL ends the path for a server that reads it as a C string
const segmentEnds = /[/\\;?#\u0000-\u0020\u007F\uFFFD]+/

/**
 * `/console` and what is below it, in the one spelling that all servers read alike: no escapes, and no segment that is
 * empty or begins with a dot, so that nothing else is reached by it.
 */
const plainConsolePath = /^\/console(?:\/[\w~-][\w.~-]*)*\/?(?:\?|$)/

/**
 * Whether a request target could reach something on a backend that is not for clients.
 *
 * Backends differ in how they read a path, so an ordinary one (nothing encoded, no empty or dot segment, backslash,
 * parameter or fragment) is hidden when it begins with a hidden path, in any letter case. Any other is hidden when the
 * segments of a hidden path occur in it at all, in their order, after decoding twice: dropping dot segments, empty ones
 * and parameters only ever leaves a part of what is there, so whichever of these a backend does, it finds no hidden
 * path in what passes. Odd spellings of other paths may be refused; `/a%20b/stats` is.
 *
 * Beside them `/console` of the replicas is hidden from all clients, or from those that may not open it.
 */
export class HiddenPaths {
  readonly #hidden: readonly (readonly string[])[]
  /** By code: 1 for what a hidden path begins with, in lower case. Ordinary paths are ASCII. */
  readonly #firstLetters = new Uint8Array(128)
  readonly #hidesAll: boolean
  readonly #mayOpenConsole: (address: string) => boolean

  /** @param paths not encoded, such as `/stats` and `/admin/keys` */
  constructor(paths: readonly string[], { enabled, allow }: ConsoleConfig = { enabled: false, allow: [] }) {
    this.#mayOpenConsole = enabled ? addressBlocks(allow) : () => false
    // Where nothing is hidden, other servers may have a path of that name.
    const all = paths.length > 0 || enabled ? [...paths, '/console'] : []
    this.#hidden = all.map((path) => segmentsOf(encodeURI(path)))
    this.#hidesAll = this.#hidden.some((segments) => segments.length === 0)
    for (const [first = ''] of this.#hidden) this.#firstLetters[first.charCodeAt(0) | lowerCaseBit] = 1
  }

  /** Whether this client may not ask for it. `target`: path and query, as in the request line. */
  isHiddenFrom(address: string, target: string): boolean {
    return this.isHidden(target) && !(plainConsolePath.test(target) && this.#mayOpenConsole(address))
  }

  isHidden(target: string): boolean {
    if (this.#hidden.length === 0) return false
    if (this.#hidesAll) return true
    const end = endOfPlainPath(target)
    if (end < 0) return this.#occursIn(segmentsOf(target))
    const first = target.length > 1 ? target.charCodeAt(1) : slash
    if (this.#firstLetters[first | lowerCaseBit] === 0) return false
    return this.#beginsWithOne(target.slice(1, end).toLowerCase().split('/'))
  }

  #beginsWithOne(path: readonly string[]): boolean {
    return this.#hidden.some((segments) => segments.every((segment, index) => segment === path[index]))
  }

  #occursIn(path: readonly string[]): boolean {
    return this.#hidden.some((segments) => isSubsequence(segments, path))
  }
}

/** Where the path of a target ends if every server reads it in the same way but for letter case; -1 if not. */
function endOfPlainPath(target: string): number {
  if (target.charCodeAt(0) !== slash) return -1
  let previous = 0
  for (let index = 0; index < target.length; index += 1) {
    const code = target.charCodeAt(index)
    if (code === questionMark) return index
    if (isOdd(code, previous)) return -1
    previous = code
  }
  return target.length
}

function isOdd(code: number, previous: number): boolean {
  if (previous === slash && (code === slash || code === 0x2e)) return true
  // % # ; \ , and what is not printable ASCII
  return code === 0x25 || code === 0x23 || code === 0x3b || code === 0x5c || code <= 0x20 || code >= 0x7f
}

/** All that could be a segment of a path, in the most generous reading, in lower case. */
function segmentsOf(target: string): readonly string[] {
  const query = target.indexOf('?')
  const path = query < 0 ? target : target.slice(0, query)
  const text = Buffer.from(unescaped(unescaped(path)), 'latin1').toString()
  // Letters that some take for others are one: `ſ` and `ｓ` are `s`.
  return text.normalize('NFKC').toLowerCase().split(segmentEnds).filter(Boolean)
}

/** Latin-1 for bytes, before and after. Unlike `decodeURIComponent` it takes any text: a lone `%` stands for itself. */
function unescaped(bytes: string): string {
  return bytes.replace(/%([\da-f]{2})/gi, (_escape, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)))
}

function isSubsequence(part: readonly string[], whole: readonly string[]): boolean {
  let found = 0
  for (const segment of whole) {
    if (segment === part[found]) found += 1
  }
  return found === part.length
}
