import { expect, test } from '@jest/globals'
import { UnorderedList } from './unordered-list.ts'

const place = Symbol('place')

test('has what was added and not deleted', () => {
  const list = new UnorderedList<object>(place)
  const [first, second, third] = [{}, {}, {}]
  for (const one of [first, second, third]) list.add(one)
  expect([list.delete(first), list.delete(first), list.delete({})]).toEqual([true, false, false])
  expect(new Set(list)).toEqual(new Set([second, third]))
  list.add(first)
  expect(list.size).toBe(3)
  for (const one of [third, first, second]) expect(list.delete(one)).toBe(true)
  expect([...list]).toEqual([])
})

test('comes to each once, whatever is deleted meanwhile', () => {
  const list = new UnorderedList<{ readonly name: number }>(place)
  for (let name = 0; name < 5; name += 1) list.add({ name })
  const names: number[] = []
  for (const one of list) {
    names.push(one.name)
    list.delete(one)
  }
  expect(names.toSorted((one, other) => one - other)).toEqual([0, 1, 2, 3, 4])
  expect(list.size).toBe(0)
})

test('an object may be in several lists', () => {
  const [here, there] = [new UnorderedList<object>(place), new UnorderedList<object>(Symbol('another place'))]
  const one = {}
  there.add({})
  here.add(one)
  there.add(one)
  expect([here.delete(one), there.size, there.delete(one)]).toEqual([true, 2, true])
})
