import { afterEach, beforeEach, expect, jest, test } from '@jest/globals'
import { socketPair } from '@ipfleet/testing/socket-pair.ts'
import { standStill } from '@ipfleet/testing/stand-still.ts'
import { type Hedgeable, HedgeWatch } from './hedge-watch.ts'

beforeEach(() => void jest.useFakeTimers())
afterEach(() => void jest.useRealTimers())

/** A request of a backend, which is asked elsewhere after 300 ms, and is then behind all others. */
function waiting(watch: HedgeWatch, name: string, hedged: string[], backendId = 'one'): Hedgeable {
  const request = {
    place: -1,
    askedMs: performance.now(),
    backendId,
    hedgeAfterMs: () => 300,
    hedge() {
      hedged.push(name)
      watch.delete(request)
      request.askedMs = performance.now()
      watch.add(request)
    },
    free: () => hedged.push(`${name} freed`),
  }
  watch.add(request)
  return request
}

test('those asked first are hedged first, again and again, and those that were answered are not', () => {
  const watch = new HedgeWatch()
  const hedged: string[] = []
  const [a, b, c] = ['a', 'b', 'c'].map((name) => waiting(watch, name, hedged))
  jest.advanceTimersByTime(250)
  const d = waiting(watch, 'd', hedged)
  if (b) watch.delete(b)
  // A millisecond more: a look comes in the turn behind its timer.
  jest.advanceTimersByTime(101)
  expect(hedged).toEqual(['a', 'c'])
  jest.advanceTimersByTime(200)
  expect(hedged).toEqual(['a', 'c', 'd'])
  jest.advanceTimersByTime(100)
  expect(hedged).toEqual(['a', 'c', 'd', 'a', 'c'])
  for (const request of [a, b, c, d]) if (request) watch.delete(request)
  jest.advanceTimersByTime(1000)
  expect(hedged).toHaveLength(5)
  expect(jest.getTimerCount()).toBe(0)
})

test('a request that is deleted twice takes nobody else out', () => {
  const watch = new HedgeWatch()
  const hedged: string[] = []
  const a = waiting(watch, 'a', hedged)
  waiting(watch, 'b', hedged)
  watch.delete(a)
  jest.advanceTimersByTime(50)
  watch.delete(a)
  jest.advanceTimersByTime(300)
  expect(hedged).toEqual(['b'])
})

test('only what waits for the backend that does not answer is asked elsewhere', () => {
  const watch = new HedgeWatch()
  const hedged: string[] = []
  waiting(watch, 'a', hedged, 'one')
  waiting(watch, 'b', hedged, 'two')
  waiting(watch, 'c', hedged, 'one')
  watch.free('one')
  expect(hedged).toEqual(['a freed', 'c freed'])
})

test('what came while this process stood still is read before a backend counts as silent', async () => {
  jest.useRealTimers()
  const [backend, socket] = await socketPair()
  const watch = new HedgeWatch()
  const hedged: string[] = []
  const answered = waiting(watch, 'answered', hedged)
  socket.once('data', () => watch.delete(answered))
  await new Promise<void>((resolve) => {
    const silent = waiting(watch, 'silent', hedged)
    silent.hedge = () => {
      watch.delete(silent)
      resolve()
    }
    backend.write('an answer')
    standStill(600)
  })
  backend.destroy()
  socket.destroy()
  expect(hedged).toEqual([])
})
