/** The kinds of values that a key may have, but for those that need a file of their own. */

import { resolve } from 'node:path'
import { cidrBlocks } from '@ipfleet/settings/cidr-blocks.ts'
import { maxTimerMs, rangeInWords } from '@ipfleet/settings/kinds.ts'
import { readText } from '@ipfleet/settings/sources.ts'
import type { Kind } from './config-key.ts'
import { type Given, read, refused } from './given.ts'

export function wholeNumber(min: number, max = Infinity): Kind<number> {
  return numeric('a whole number', { min, max, isWhole: true })
}

export function decimal(min: number, max: number): Kind<number> {
  return numeric('a number', { min, max, isWhole: false })
}

/** Fractions allowed, down to the millisecond; up to the longest delay of a timer. */
export function seconds(min = 0.001): Kind<number> {
  return numeric('seconds', { min, max: Math.floor(maxTimerMs / 1000), isWhole: false })
}

export function milliseconds(min = 1): Kind<number> {
  return numeric('whole milliseconds', { min, max: maxTimerMs, isWhole: true })
}

function numeric(noun: string, range: { readonly min: number; readonly max: number; readonly isWhole: boolean }) {
  const { min, max, isWhole } = range
  const allowed = noun + rangeInWords(min, max)
  const fits = (value: number) => value >= min && value <= max && (isWhole ? Number.isSafeInteger(value) : true)
  const kind: Kind<number> = {
    allowed,
    read: (given) => {
      const value = numberIn(given)
      if (value !== undefined && fits(value)) return read(value)
      const isQuoted = given.kind === 'text' && !given.isReference && decimalForm.test(given.text)
      return refused(given, allowed, isQuoted ? 'text; a number has no quotes' : undefined)
    },
  }
  return kind
}

const decimalForm = /^-?\d+(\.\d+)?$/

function numberIn(given: Given): number | undefined {
  if (given.kind === 'number') return given.value
  return given.kind === 'text' && given.isReference && decimalForm.test(given.text) ? Number(given.text) : undefined
}

export const flag: Kind<boolean> = {
  allowed: 'true or false',
  read: (given) => {
    if (given.kind === 'flag') return read(given.value)
    const word = given.kind === 'text' && given.isReference ? given.text.toLowerCase() : ''
    return word === 'true' || word === 'false' ? read(word === 'true') : refused(given, flag.allowed)
  },
}

/** Text that `parse` makes something of; it gives `undefined` for what is not allowed. */
export function textual<Value>(allowed: string, parse: (text: string) => Value | undefined): Kind<Value> {
  return {
    allowed,
    read: (given) => {
      const value = given.kind === 'text' ? parse(given.text) : undefined
      return value === undefined ? refused(given, allowed) : read(value)
    },
  }
}

/** One of the given words; letter case does not matter. */
export function choice<const Word extends string>(words: readonly Word[]): Kind<Word> {
  const allowed = words.map((word) => JSON.stringify(word)).join(' or ')
  return textual(allowed, (text) => words.find((word) => word.toLowerCase() === text.toLowerCase()))
}

const hedgeDelay = milliseconds(250)

/** "auto", 0, or a time that is worth waiting. */
export const hedgeAfter: Kind<'auto' | number> = {
  allowed: `"auto", 0 or ${hedgeDelay.allowed}`,
  read: (given, directory) => {
    if (given.kind === 'text' && given.text.toLowerCase() === 'auto') return read('auto')
    if (given.kind === 'number' && given.value === 0) return read(0)
    const delay = hedgeDelay.read(given, directory)
    return delay.kind === 'value' ? delay : refused(given, hedgeAfter.allowed)
  },
}

/** The path of a URL as requests have it: `/` and visible ASCII characters. */
const urlPathForm = /^\/[!-~]*$/

const pathInWords = 'a path that begins with /'

/** What a request's path is compared with: without a query. */
export const urlPath = textual(pathInWords, (text) => (urlPathForm.test(text) && !/[?#]/.test(text) ? text : undefined))

/** The same with all below it. Slashes at its end make no difference and go; with `//` or dots it would match nothing. */
export const pathPrefix = textual(pathInWords, (text) => {
  const isPrefix = urlPathForm.test(text) && !/[?#]|\/\/|\/\.{1,2}(\/|$)/.test(text)
  return isPrefix ? text.replace(/(?<=.)\/$/, '') : undefined
})

/** What is sent as it is, a query included. */
export const requestTarget = textual(pathInWords, (text) =>
  urlPathForm.test(text) && !text.includes('#') ? text : undefined,
)

/** Text of a kind, or '' for none. */
export function orNone(kind: Kind<string>): Kind<string> {
  const allowed = `${kind.allowed}, or ""`
  return {
    allowed,
    read: (given, directory) => {
      if (given.kind === 'text' && given.text === '') return read('')
      const value = kind.read(given, directory)
      return value.kind === 'value' ? value : refused(given, allowed)
    },
  }
}

/** A file that is there and can be read, as an absolute path. */
export const readableFile: Kind<string> = {
  allowed: 'a file that can be read; a relative path begins where this file is',
  read: (given, directory) => {
    if (given.kind !== 'text' || given.text === '') return refused(given, readableFile.allowed)
    const path = resolve(directory, given.text)
    const content = readText(path)
    return content.kind === 'text' ? read(path) : refused(given, readableFile.allowed, content.code)
  },
}

/** A list with items of one kind; each that is not allowed is a fault of its own. */
export function listOf<Item>(item: Kind<Item>, { min }: { readonly min: number }): Kind<readonly Item[]> {
  const allowed = `a list${min > 0 ? ` of at least ${min}` : ''}; each ${item.allowed}`
  return {
    allowed,
    read: (given, directory) => {
      if (given.kind !== 'list' || given.items.length < min) {
        return refused(given, allowed, given.kind === 'list' ? 'empty' : undefined)
      }
      const items = given.items.map((one) => item.read(one, directory))
      const faults = items.flatMap((one) => (one.kind === 'faults' ? one.faults : []))
      if (faults.length > 0) return { kind: 'faults', faults }
      return read(items.flatMap((one) => (one.kind === 'value' ? [one.value] : [])))
    },
  }
}

const blockLists = listOf(
  textual('an address, a block (10.0.0.0/8, fd00::/8), loopback, linklocal or private', cidrBlocks),
  { min: 0 },
)

/** Blocks of addresses, those that words stand for included, each once. */
export const blocks: Kind<readonly string[]> = {
  allowed: blockLists.allowed,
  read: (given, directory) => {
    const lists = blockLists.read(given, directory)
    return lists.kind === 'value' ? read([...new Set(lists.value.flat())]) : lists
  },
}
