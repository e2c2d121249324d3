/** The kinds of values that a TOML document may have. */

import { resolve } from 'node:path'
import { z } from 'zod'
import { cidrBlocks } from './cidr-blocks.ts'
import { maxTimerMs, rangeInWords } from './kinds.ts'
import { readText } from './sources.ts'
import { TomlText } from './toml-document.ts'
import { allowedBy, described, kind, type Schema } from './toml-schema.ts'

export function wholeNumber(min: number, max = Infinity): Schema<number> {
  return numeric('a whole number', wholeIn(min, max), [min, max])
}

export function decimal(min: number, max: number): Schema<number> {
  return numeric('a number', numberIn(min, max), [min, max])
}

const maxSeconds = Math.floor(maxTimerMs / 1000)

/** Fractions allowed, down to the millisecond; up to the longest delay of a timer. The value is in milliseconds. */
export function seconds(min = 0.001): Schema<number> {
  const schema = numeric('seconds', numberIn(min, maxSeconds), [min, maxSeconds])
  return described(schema.transform(inMs), { allowed: allowedBy(schema) })
}

/** Whole: Node cuts off the rest. */
function inMs(value: number): number {
  return Math.round(value * 1000)
}

export function milliseconds(min = 1): Schema<number> {
  return numeric('whole milliseconds', wholeIn(min, maxTimerMs), [min, maxTimerMs])
}

function numeric(noun: string, parse: (given: unknown) => number | undefined, [min, max]: readonly [number, number]) {
  return kind<number>(noun + rangeInWords(min, max), (given) => {
    const isQuoted = given instanceof TomlText && !given.isReference && decimalForm.test(given.written)
    return isQuoted ? { refusal: 'text; a number has no quotes' } : parse(given)
  })
}

const decimalForm = /^-?\d+(\.\d+)?$/

export function numberIn(min: number, max: number) {
  return (given: unknown): number | undefined => {
    const isReference = given instanceof TomlText && given.isReference && decimalForm.test(given.text ?? '')
    const value = isReference ? Number(given.text) : given
    return typeof value === 'number' && value >= min && value <= max ? value : undefined
  }
}

export function wholeIn(min: number, max: number) {
  const number = numberIn(min, max)
  return (given: unknown): number | undefined => {
    const value = number(given)
    return Number.isSafeInteger(value) ? value : undefined
  }
}

export const flag: Schema<boolean> = kind('true or false', (given) => {
  const word = given instanceof TomlText && given.isReference ? given.text?.toLowerCase() : given
  return word === true || word === 'true' ? true : word === false || word === 'false' ? false : undefined
})

/** Text that `parse` makes something of; it gives `undefined` for what is not allowed. */
export function textual<Value>(allowed: string, parse: (text: string) => Value | undefined): Schema<Value> {
  return kind(allowed, (given) => (textOf(given) === undefined ? undefined : parse(textOf(given) ?? '')))
}

export function textOf(given: unknown): string | undefined {
  return given instanceof TomlText ? given.text : undefined
}

/** One of the given words; letter case does not matter. */
export function choice<const Word extends string>(options: readonly Word[]): Schema<Word> {
  const allowed = options.map((word) => JSON.stringify(word)).join(' or ')
  return textual(allowed, (text) => options.find((word) => word.toLowerCase() === text.toLowerCase()))
}

/** A file that `parse` makes something of, given its absolute path and its text. */
export function fileOf<Value>(what: string, parse: (path: string, text: string) => Value): Schema<Value> {
  return kind<Value>(`a file ${what}; a relative path begins where this file is`, (given) => {
    if (!(given instanceof TomlText) || !given.text) return undefined
    const path = resolve(given.directory, given.text)
    const content = readText(path)
    return content.kind === 'text' ? parse(path, content.text) : { refusal: content.code }
  })
}

/** A list with items of one kind; each that is not allowed is a fault of its own. */
export function listOf<Item>(item: Schema<Item>, { min = 0 } = {}): Schema<readonly Item[]> {
  const allowed = `a list${min > 0 ? ` of at least ${min}` : ''}; each ${allowedBy(item)}`
  const list = kind<readonly unknown[]>(allowed, (given) => {
    if (!Array.isArray(given)) return undefined
    return given.length < min ? { refusal: 'empty' } : given
  })
  return described(list.pipe(z.array(item)), { allowed })
}

const blockLists = listOf(
  textual('an address, a block (10.0.0.0/8, fd00::/8), loopback, linklocal or private', cidrBlocks),
)

/** Blocks of addresses, those that words stand for included, each once. */
export const blocks: Schema<readonly string[]> = described(
  blockLists.transform((lists) => [...new Set(lists.flat())]),
  { allowed: allowedBy(blockLists) },
)
