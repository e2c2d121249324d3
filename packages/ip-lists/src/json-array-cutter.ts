import { ProxyError } from '@ipfleet/core/proxy-error.ts'
import { maxInputBytes, tooLong } from './line-inputs.ts'

/** One element of the array, between `start` and `end` of what has been read. */
export interface JsonElement {
  readonly text: Buffer
  readonly start: number
  readonly end: number
  /** It is a string, quotes included, in which nothing is escaped or has to be. */
  readonly isPlainString: boolean
  readonly number: number
  /** Bytes of the body before it. */
  readonly offset: number
}

/** Deeper than anything that holds an address. */
const maxDepth = 64

const quote = 0x22
const backslash = 0x5c
const comma = 0x2c
const openBracket = 0x5b
const closeBracket = 0x5d
const openBrace = 0x7b
const closeBrace = 0x7d

/**
 * Cuts a JSON array into its elements while it comes in. At most one incomplete element is held. Only strings, brackets
 * and commas are looked at, which are single bytes in UTF-8; the reader of an element finds out whether it is JSON.
 *
 * stream-json 3.8 is not for untrusted input, as its README says: it emits a string when it is whole, however long, and
 * does not say where a fault is.
 */
export class JsonArrayCutter {
  readonly #onElement: (element: JsonElement) => void
  #part: 'before' | 'elements' | 'after' = 'before'
  /** An incomplete element, without the blanks before it. */
  #rest: Buffer = Buffer.alloc(0)
  #start = 0
  /** Bytes of the body before the text that is being read. */
  #offset = 0
  /** Blanks in a row, outside of elements. */
  #blanks = 0
  #count = 0
  #depth = 0
  #strings = 0
  #inString = false
  #escaped = false
  #plain = true

  constructor(onElement: (element: JsonElement) => void) {
    this.#onElement = onElement
  }

  /** @throws ProxyError `bad_request` where there is no array, `payload_too_large` as soon as an element is too long */
  push(piece: Buffer): void {
    const text = this.#rest.length === 0 ? piece : Buffer.concat([this.#rest, piece])
    this.#start = 0
    let at = this.#rest.length
    while (at < text.length) {
      if (this.#inString) at = this.#afterString(text, at)
      else this.#take(text, at++)
    }
    const start = this.#part === 'elements' ? this.#start : text.length
    if (text.length - start > maxInputBytes) throw tooLong(`Element ${this.#count + 1} of the array`)
    this.#rest = text.subarray(start)
    this.#offset += start
  }

  /** @throws ProxyError `bad_request` where the array has no end */
  end(): void {
    if (this.#part === 'elements') throw broken(`it ends after ${this.#count} elements, and the array goes on`)
  }

  /** Reads on in a string: the position after its last quote, or the end of what there is. */
  #afterString(text: Buffer, from: number): number {
    for (let at = from; at < text.length; at += 1) {
      const byte = text[at] ?? 0
      if (this.#escaped) {
        this.#escaped = false
      } else if (byte === quote) {
        this.#inString = false
        return at + 1
      } else if (byte === backslash) {
        this.#escaped = true
        this.#plain = false
      } else if (byte < 0x20) {
        this.#plain = false
      }
    }
    return text.length
  }

  #take(text: Buffer, at: number): void {
    const byte = text[at] ?? 0
    this.#blanks = isBlank(byte) ? this.#blanks + 1 : 0
    if (this.#blanks > maxInputBytes) throw tooLong(`The space after element ${this.#count} of the array`)
    if (this.#part === 'elements') {
      this.#takeOfElement(text, at, byte)
    } else if (this.#blanks === 0) {
      if (this.#part === 'after') throw broken(`something follows the array after ${this.#offset + at} bytes`)
      if (byte !== openBracket) throw new ProxyError('bad_request', { message: notAnArray })
      this.#part = 'elements'
      this.#begin(at + 1)
    }
  }

  #takeOfElement(text: Buffer, at: number, byte: number): void {
    if (byte === quote) {
      this.#inString = true
      this.#strings += 1
    } else if (byte === comma) {
      if (this.#depth === 0) this.#cut(text, at)
    } else if (byte === openBracket || byte === openBrace) {
      this.#depth += 1
      if (this.#depth > maxDepth) throw broken(`element ${this.#count + 1} is nested over ${maxDepth} deep`)
    } else if (byte === closeBracket || byte === closeBrace) {
      this.#close(text, at, byte)
    } else if (at === this.#start && isBlank(byte)) {
      this.#start = at + 1
    }
  }

  #close(text: Buffer, at: number, byte: number): void {
    if (this.#depth > 0) {
      this.#depth -= 1
      return
    }
    if (byte === closeBrace) throw broken(`there is a } too many after ${this.#offset + at} bytes`)
    const isEmpty = this.#count === 0 && at === this.#start
    if (!isEmpty) this.#cut(text, at)
    this.#part = 'after'
  }

  #cut(text: Buffer, at: number): void {
    const start = this.#start
    let end = at
    while (end > start && isBlank(text[end - 1] ?? 0)) end -= 1
    this.#count += 1
    const number = this.#count
    if (end - start > maxInputBytes) throw tooLong(`Element ${number} of the array`)
    // One string, and no other byte.
    const isString = this.#strings === 1 && text[start] === quote && text[end - 1] === quote
    const offset = this.#offset + start
    this.#onElement({ text, start, end, isPlainString: isString && this.#plain, number, offset })
    this.#begin(at + 1)
  }

  #begin(start: number): void {
    this.#start = start
    this.#strings = 0
    this.#plain = true
  }
}

/** RFC 8259 §2. */
function isBlank(byte: number): boolean {
  return byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09
}

const notAnArray =
  'The JSON has to be one array, of addresses or of objects that hold one; ' +
  'for an object on each line send application/x-ndjson, or say ?format=ndjson'

export function broken(how: string): ProxyError {
  return new ProxyError('bad_request', { message: `The JSON is broken: ${how}` })
}
