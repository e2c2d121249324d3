import { describe, expect, test } from '@jest/globals'
import { LocalPorts, portsOf, sharedOut } from './local-ports.ts'

describe('the ports to leave from', () => {
  test('are those of the system', () => {
    expect(portsOf('32768\t32772\n', '\n')).toEqual([32768, 32769, 32770, 32771, 32772])
  })

  test('without reserved ones and reserved blocks', () => {
    expect(portsOf('10 20', '8,11,14-16,20-30\n')).toEqual([10, 12, 13, 17, 18, 19])
  })

  test('are known on any system', () => {
    const port = LocalPorts.ofSystem().next()
    expect(port).toBeGreaterThan(1023)
    expect(port).toBeLessThan(65_536)
  })

  test('are at least one', () => {
    expect(() => new LocalPorts([])).toThrow(RangeError)
    const one = new LocalPorts([7])
    expect([one.next(), one.leap(), one.next()]).toEqual([7, 7, 7])
  })
})

test('they come one after the other, from anywhere on, and then again', () => {
  const ports = new LocalPorts([1, 2, 3, 4, 5])
  const first = ports.next()
  const given = [first, ...Array.from({ length: 6 }, () => ports.next())]
  expect(given).toEqual(Array.from({ length: 7 }, (_, index) => ((first - 1 + index) % 5) + 1))
})

test('half of them are left to the connections of others, unless there are too few', () => {
  expect(sharedOut([10, 11, 12, 13, 14])).toEqual({ usual: [11, 13], spare: [10, 12, 14] })
  expect(sharedOut([10])).toEqual({ usual: [10], spare: [] })
})

test('spare ones are given only by leaps', () => {
  const ports = new LocalPorts([1, 3, 5], [2, 4, 6])
  const leaps = new Set(Array.from({ length: 6 }, () => ports.leap()))
  expect(leaps.size).toBe(6)
  const given = new Set(Array.from({ length: 9 }, () => ports.next()))
  expect(given).toEqual(new Set([1, 3, 5]))
})

test.each([2, 3, 4, 10, 16, 97, 28_232])('of %d, leaps lead to each of them', (count) => {
  const ports = new LocalPorts(Array.from({ length: count }, (_, index) => index))
  const given = Array.from({ length: count }, () => ports.leap())
  expect(new Set(given).size).toBe(count)
})

test('leaps lead far away', () => {
  const ports = new LocalPorts(Array.from({ length: 28_232 }, (_, index) => index))
  for (let count = 0; count < 16; count += 1) {
    const before = ports.next()
    expect(Math.abs(ports.leap() - before)).toBeGreaterThan(5000)
  }
})
