import { once } from 'node:events'
import type { IncomingMessage } from 'node:http'
import { setTimeout as delay } from 'node:timers/promises'
import { observeRedis } from '@ipfleet/testing/redis-observer.ts'
import { until } from '@ipfleet/testing/until.ts'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { ApiHarness } from './api-harness.ts'

/** How a job goes, as Server-Sent Events. */
let harness: ApiHarness
beforeAll(async () => {
  harness = await ApiHarness.start({ heartbeatMs: 200 })
})
afterAll(() => harness[Symbol.asyncDispose]())

interface SeenEvent {
  readonly event: string
  readonly id: string
  // oxlint-disable-next-line typescript/no-explicit-any -- as tests look into it
  readonly job: any
}

class Listener {
  readonly events: SeenEvent[] = []
  readonly res: IncomingMessage
  readonly ended: Promise<unknown>
  comments = 0
  #text = ''

  constructor(res: IncomingMessage) {
    this.res = res
    this.ended = once(res, 'end')
    res.setEncoding('utf8').on('data', (text: string) => this.#take(text))
  }

  #take(text: string): void {
    this.#text += text
    const blocks = this.#text.split('\n\n')
    this.#text = blocks.pop() ?? ''
    for (const block of blocks) {
      if (block.startsWith(':')) this.comments += 1
      const fields = Object.fromEntries(block.split('\n').map((line) => line.split(/: (.*)/, 2) as [string, string]))
      if (fields['event'] === undefined) continue
      const { event, id = '', data = '' } = fields
      this.events.push({ event, id, job: JSON.parse(data) as unknown })
    }
  }
}

async function listen(id: string, headers = {}): Promise<Listener> {
  const res = await harness.open(`/jobs/${id}/events`, { headers })
  expect(res.headers).toMatchObject({ 'content-type': 'text/event-stream; charset=utf-8' })
  expect(res.headers['cache-control']).toContain('no-store')
  return new Listener(res)
}

test('the job comes at once, then as it goes, at most twice a second, and at last its end', async () => {
  const id = await harness.job(12_000)
  const startedMs = performance.now()
  const listener = await listen(id)
  await until(() => listener.events.length > 0)
  expect(listener.events[0]).toMatchObject({ event: 'progress', id: '0', job: { id, state: 'queued' } })
  for (let index = 0; index < 12; index += 1) {
    await harness.finish(id, index)
    await delay(150)
  }
  await listener.ended
  const { events } = listener
  const progress = events.filter(({ event }) => event === 'progress')
  expect(progress.length).toBeGreaterThan(2)
  // The first two may come together: one for who has just come, one for all.
  expect(progress.length).toBeLessThanOrEqual(2 + (performance.now() - startedMs) / 500)
  expect(progress.map((event) => Number(event.id))).toEqual(
    progress.map((event) => Number(event.job.lines.done)).toSorted((a, b) => a - b),
  )
  expect(events.at(-1)).toMatchObject({
    event: 'end',
    id: '12000',
    job: { state: 'completed', lines: { done: 12_000 } },
  })
  expect(events.filter(({ event }) => event === 'end')).toHaveLength(1)
})

test('of a job that has ended: how it is, and the end, unless the client has seen that', async () => {
  const id = await harness.job(10)
  await harness.finishAll(id)
  for (const headers of [{}, { 'last-event-id': '9' }, { 'last-event-id': 'x' }]) {
    const listener = await listen(id, headers)
    await listener.ended
    expect(listener.events.map(({ event, job }) => [event, job.state])).toEqual([
      ['progress', 'completed'],
      ['end', 'completed'],
    ])
  }
})

test.each(['completed', 'cancelled'])(
  'a browser does not connect again to the events of a job that is %s',
  async (state) => {
    const id = await harness.job(3000)
    await harness.finish(id, 0)
    const listener = await listen(id)
    await until(() => listener.events.some((event) => event.id === '1000'))
    if (state === 'completed') for (const index of [1, 2]) await harness.finish(id, index)
    else await harness.ask(`/jobs/${id}`, { method: 'DELETE' })
    await listener.ended
    const ask = (seen: string) => harness.ask(`/jobs/${id}/events`, { headers: { 'last-event-id': seen } })
    const seen = listener.events.at(-1)?.id ?? ''
    expect([(await ask('1000')).status, (await ask(seen)).status, (await ask(seen)).text]).toEqual([200, 204, ''])
  },
)

test('a cancelled job ends too', async () => {
  const id = await harness.job(3000)
  const listener = await listen(id)
  await until(() => listener.events.length > 0)
  await harness.ask(`/jobs/${id}`, { method: 'DELETE' })
  await listener.ended
  expect(listener.events.at(-1)).toMatchObject({ event: 'end', job: { state: 'cancelled' } })
})

test('a job that goes ends the stream without a word', async () => {
  const id = await harness.job(3000)
  const listener = await listen(id)
  await until(() => listener.events.length > 0)
  await harness.store.remove(id, 'everyone')
  await listener.ended
  expect(listener.events.map(({ event }) => event)).not.toContain('end')
})

test('many listeners cost as many readings as one, and none once they have left', async () => {
  const id = await harness.job(3000)
  const listeners = await Promise.all(Array.from({ length: 30 }, () => listen(id)))
  await using observer = await observeRedis(harness.redis.url)
  const readings = (): number =>
    observer.commands().filter(({ name, args }) => name === 'hgetall' && args[0]?.includes(id)).length
  await harness.finish(id, 0)
  await until(() => listeners.every(({ events }) => events.at(-1)?.id === '1000'))
  expect(readings()).toBeLessThan(8)

  for (const { res } of listeners) res.destroy()
  await until(async () => {
    observer.clear()
    await harness.finish(id, 1).catch(() => {})
    await delay(1200)
    await observer.caughtUp()
    return readings() === 0
  })
})

test('a comment now and then shows that the connection is alive', async () => {
  const listener = await listen(await harness.job(3))
  await until(() => listener.comments > 1)
  expect(listener.events.length).toBeLessThan(4)
  listener.res.destroy()
})

test('HEAD is answered, and does not stay', async () => {
  const id = await harness.job(3)
  const answer = await harness.ask(`/jobs/${id}/events`, { method: 'HEAD' })
  expect([answer.status, answer.headers['content-type']]).toEqual([200, 'text/event-stream; charset=utf-8'])
})

// The last one: it ends all streams of this harness.
test('a stop ends the streams', async () => {
  const id = await harness.job(3)
  const listener = await listen(id)
  await until(() => listener.events.length > 0)
  harness.streams.abort()
  await listener.ended
  expect(listener.events.map(({ event }) => event)).not.toContain('end')
})
