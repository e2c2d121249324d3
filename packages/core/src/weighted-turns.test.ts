import { expect, test } from '@jest/globals'
import { takeTurn } from './weighted-turns.ts'

const candidate = (name: string, effectiveWeight = 1) => ({ name, effectiveWeight, turn: 0 })

test('spreads the turns of a heavy candidate, and gives each what its weight says', () => {
  const candidates = [candidate('a', 5), candidate('b'), candidate('c')]
  const taken = Array.from({ length: 14 }, () => takeTurn(candidates)?.name)
  expect(taken.join('')).toBe('aabacaaaabacaa')
})

test('who is not eligible neither gains nor loses', () => {
  const candidates = [candidate('a'), candidate('b'), candidate('c')]
  const without = (name: string) => takeTurn(candidates, (one) => one.name !== name)?.name
  expect([without('b'), without('b'), without('b'), without('none'), without('none')].join('')).toBe('acacb')
  expect(candidates.reduce((sum, { turn }) => sum + turn, 0)).toBe(0)
})

test('among none there is none', () => {
  expect(takeTurn([])).toBeUndefined()
  expect(takeTurn([candidate('a')], () => false)).toBeUndefined()
})
