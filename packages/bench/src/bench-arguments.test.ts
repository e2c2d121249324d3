import { expect, test } from '@jest/globals'
import { benchArguments } from './bench-arguments.ts'

test('what is not given has the default of the benchmark', () => {
  const words = benchArguments(['edge', '--rounds', '7', '--with-limit'])
  expect(words).toMatchObject({ name: 'edge', withLimit: true, haproxyLog: false, nodeFlags: [] })
  expect(words.number('rounds', 5)).toBe(7)
  expect(words.number('seconds', 4)).toBe(4)
})

test.each(['0', '-1', '1.5', '1e3', 'many', ''])('%j is no number of rounds', (text) => {
  expect(() => benchArguments(['hit', `--rounds=${text}`]).number('rounds', 5)).toThrow(RangeError)
})

test('an option that does not exist is refused', () => {
  expect(() => benchArguments(['hit', '--round', '5'])).toThrow('Unknown option')
})
