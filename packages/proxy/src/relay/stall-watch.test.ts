import { afterEach, beforeEach, expect, jest, test } from '@jest/globals'
import { socketPair } from '@ipfleet/testing/socket-pair.ts'
import { standStill } from '@ipfleet/testing/stand-still.ts'
import { StallWatch, type Watched } from './stall-watch.ts'

beforeEach(() => void jest.useFakeTimers())
afterEach(() => void jest.useRealTimers())

/** Notes when it is asked. */
function watched(): Watched & { readonly asked: number[] } {
  const asked: number[] = []
  return { asked, checkStall: (nowMs) => void asked.push(nowMs) }
}

test('what is watched is asked now and then, with the monotonic time, until it is left alone', () => {
  const watch = new StallWatch()
  const one = watched()
  watch.add(one)
  jest.advanceTimersByTime(1600)
  expect(one.asked).toHaveLength(3)
  expect(one.asked.at(-1)).toBeCloseTo(performance.now() - 100, 0)
  watch.delete(one)
  jest.advanceTimersByTime(5000)
  expect(one.asked).toHaveLength(3)
})

test('all share one timer, and there is none soon after nothing is watched', () => {
  const watch = new StallWatch()
  const [one, other] = [watched(), watched()]
  expect(jest.getTimerCount()).toBe(0)
  watch.add(one)
  watch.add(other)
  watch.add(one)
  expect(jest.getTimerCount()).toBe(1)
  watch.delete(one)
  expect(jest.getTimerCount()).toBe(1)
  watch.delete(other)
  watch.delete(other)
  jest.advanceTimersByTime(600)
  expect(jest.getTimerCount()).toBe(0)
  watch.add(one)
  expect(jest.getTimerCount()).toBe(1)
})

test('one that leaves when it is asked keeps nobody else from being asked', () => {
  const watch = new StallWatch()
  const other = watched()
  const leaver: Watched = { checkStall: () => watch.delete(leaver) }
  watch.add(leaver)
  watch.add(other)
  jest.advanceTimersByTime(1100)
  expect(other.asked).toHaveLength(2)
})

test('what came while this process stood still is read before anything counts as stalled', async () => {
  jest.useRealTimers()
  const [client, socket] = await socketPair()
  const watch = new StallWatch()
  let isRead = false
  socket.on('data', () => (isRead = true))
  const wasRead = await new Promise<boolean>((resolve) => {
    watch.add({ checkStall: () => resolve(isRead) })
    client.write('a body')
    standStill(1100)
  })
  client.destroy()
  socket.destroy()
  expect(wasRead).toBe(true)
})
