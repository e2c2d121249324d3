import { ProxyError } from '@ipfleet/core/proxy-error.ts'

/** A query parameter as Express parses it: of a repeated one the first counts, and an empty one is none. */
export function firstOf(value: unknown): string | undefined {
  const one: unknown = Array.isArray(value) ? value[0] : value
  return typeof one === 'string' && one !== '' ? one : undefined
}

interface NumberOptions {
  readonly min?: number
  readonly max?: number
  readonly default: number
}

/** @throws ProxyError `bad_request` */
export function wholeNumber(name: string, value: unknown, { min = 0, max, ...options }: NumberOptions): number {
  const text = firstOf(value)
  if (text === undefined) return options.default
  const given = /^\d{1,16}$/.test(text) ? Number(text) : Number.NaN
  if (given >= min && given <= (max ?? Number.MAX_SAFE_INTEGER)) return given
  const range = max === undefined ? `from ${min} on` : `from ${min} to ${max}`
  throw new ProxyError('bad_request', { message: `${name} is a whole number ${range}` })
}

/** One of a few words; undefined where there is none. @throws ProxyError `bad_request` */
export function oneOf<const T extends string>(name: string, value: unknown, words: readonly T[]): T | undefined {
  const text = firstOf(value)
  const word = words.find((known) => known === text)
  if (text === undefined || word !== undefined) return word
  throw new ProxyError('bad_request', { message: `${name} is one of ${words.join(', ')}` })
}
