import { randomNumbers } from './random-numbers.ts'

export interface ZipfTraffic {
  readonly requests: number
  /** How many addresses are asked for again and again. */
  readonly popular: number
  /** Share of the requests whose address is asked for once, from 0 to 1. */
  readonly oneOffShare: number
  /** Of the distribution: the higher, the more the first ranks make up the traffic. */
  readonly exponent: number
}

/**
 * `/a.b.c.d` for each request: ranks drawn from a Zipf distribution, mixed with addresses that are asked for once.
 * The same for the same traffic. Has room for 2^24 of each.
 */
export function zipfPaths({ requests, popular, oneOffShare, exponent }: ZipfTraffic): string[] {
  const weights = Array.from({ length: popular }, (_, rank) => (rank + 1) ** -exponent)
  const total = weights.reduce((sum, weight) => sum + weight, 0)
  let sum = 0
  const upTo = weights.map((weight) => (sum += weight / total))
  const random = randomNumbers(exponent * 1000)
  return Array.from({ length: requests }, (_, index) => {
    const isOneOff = random() < oneOffShare
    const drawn = random()
    const number = isOneOff ? index : upTo.findIndex((bound) => bound >= drawn)
    return `/${isOneOff ? 30 : 20}.${number >> 16}.${(number >> 8) & 255}.${number & 255}`
  })
}
