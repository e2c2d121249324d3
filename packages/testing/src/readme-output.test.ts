import { expect, test } from '@jest/globals'
import { isReadmeOutput } from './readme-output.ts'

test.each([
  ['a line', 'a line\n', true],
  ['a line', 'a line\nanother\n', false],
  ['a line\n…', 'a line\nanother\none more\n', true],
  ['…\na line', 'another\na line\n', true],
  ['a line\n…\nthe end', 'a line\nthe end\n', true],
  ['a line\n…\nthe end', 'a line\nb\n', false],
  ['took … ms', 'took 17 ms\n', true],
  ['took … ms', 'took 17 s\n', false],
  ['HTTP/1.1 200 OK\nAge: 0', 'HTTP/1.1 200 OK\r\nAge: 0\r\n', true],
  ['a (b)? [c]', 'a (b)? [c]', true],
  ['red', '\u001b[31mred\u001b[0m  \n', true],
  ['', 'something', false],
])('shown %j, printed %j: %j', (shown, printed, expected) => {
  expect(isReadmeOutput(shown, printed)).toBe(expected)
})
