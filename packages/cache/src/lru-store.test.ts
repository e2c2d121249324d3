import { until } from '@ipfleet/testing/until.ts'
import { describe, expect, test } from '@jest/globals'
import { Entry } from './entry.ts'
import { LruStore } from './lru-store.ts'

const entryOf = (text: string, storedAtMs = 0, freshForMs = 1000): Entry =>
  new Entry({ status: 200, contentType: 'text/plain', body: Buffer.from(text) }, storedAtMs, freshForMs)

const open = (maxEntries = 3, recheckAfterMs = 300): LruStore => new LruStore({ maxEntries, recheckAfterMs })

describe('the memory tier', () => {
  test('serves an entry until it is to be rechecked, and has it still after that', () => {
    const store = open()
    const entry = entryOf('a')
    store.set('a', entry, 0)
    expect(store.getServable('a', 299)).toBe(entry)
    expect(store.getServable('a', 300)).toBeUndefined()
    expect(store.get('a')).toBe(entry)
  })

  test('never serves an entry past its freshness, however long the recheck would wait', () => {
    const store = open(3, 5000)
    store.set('a', entryOf('a', 0, 1000), 900)
    expect(store.getServable('a', 999)).toBeDefined()
    expect(store.getServable('a', 1000)).toBeUndefined()
  })

  test('set again, the same entry is served anew and counted once', () => {
    const store = open()
    const entry = entryOf('abc')
    store.set('a', entry, 0)
    store.set('a', entry, 300)
    expect(store.getServable('a', 599)).toBe(entry)
    expect({ size: store.size, bytes: store.bytes }).toEqual({ size: 1, bytes: 3 })
  })

  test('keeps the entries used last, and counts the others as evicted', () => {
    const store = open(2)
    store.set('a', entryOf('a'), 0)
    store.set('b', entryOf('b'), 0)
    store.getServable('a', 1)
    store.set('c', entryOf('c'), 1)
    expect(store.get('a')).toBeDefined()
    expect(store.get('b')).toBeUndefined()
    expect({ size: store.size, evictions: store.evictions }).toEqual({ size: 2, evictions: 1 })
  })

  test('counts the bytes of what it holds: added, replaced, pushed out, cleared', () => {
    const store = open(2)
    store.set('a', entryOf('1234'), 0)
    store.set('b', entryOf('12'), 0)
    expect(store.bytes).toBe(6)
    store.set('a', entryOf('1'), 0)
    expect(store.bytes).toBe(3)
    store.set('c', entryOf('12345'), 0)
    expect(store.bytes).toBe(6)
    store.clear()
    expect({ size: store.size, bytes: store.bytes, evictions: store.evictions }).toEqual({
      size: 0,
      bytes: 0,
      evictions: 1,
    })
  })

  test('lets go of the larger memory that a body lies in', async () => {
    const store = open()
    const read = Buffer.alloc(65_536, 'x')
    const entry = new Entry({ status: 200, contentType: 'text/plain', body: read.subarray(0, 10) }, 0, 1000)
    store.set('a', entry, 0)
    await until(() => entry.answer.body.buffer !== read.buffer)
    expect(store.getServable('a', 1)?.answer.body.toString()).toBe('xxxxxxxxxx')
  })

  test('cleared it has nothing', () => {
    const store = open()
    store.set('a', entryOf('a'), 0)
    store.clear()
    expect(store.get('a')).toBeUndefined()
    expect(store.getServable('a', 0)).toBeUndefined()
  })
})
