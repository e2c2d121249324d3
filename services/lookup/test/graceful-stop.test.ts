import { Agent, request } from 'node:http'
import { connect } from 'node:net'
import { until } from '@ipfleet/testing/until.ts'
import { once } from 'node:events'
import { text } from 'node:stream/consumers'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { startTestRedis, type TestRedis } from '@ipfleet/testing/test-redis.ts'
import type { ServiceProcess } from '@ipfleet/testing/service-process.ts'
import { type LocalFleet, startLocalFleet } from './local-fleet.ts'

let redis: TestRedis
beforeAll(async () => {
  redis = await startTestRedis()
})
afterAll(() => redis.stop())

const clients = 50

interface Load {
  answered: number
  left: number
  readonly faults: string[]
}

/** One client on a connection of its own, asking without a pause until it is told to leave. */
async function client(port: number, load: Load): Promise<void> {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  try {
    for (let round = 0; ; round += 1) {
      const path = round % 10 === 0 ? `/9.9.${round % 200}.9` : '/8.8.8.8'
      const req = request({ port, host: '127.0.0.1', path, agent }).end()
      const [res] = await once(req, 'response')
      await text(res)
      load.answered += 1
      if (res.statusCode !== 200) load.faults.push(`status ${res.statusCode}`)
      if (res.headers.connection === 'close') break
    }
    load.left += 1
  } catch (error) {
    load.faults.push(String(error))
  } finally {
    agent.destroy()
  }
}

/** Asks for readiness on new connections, as an edge would, until it fails. */
async function untilNotReady(fleet: LocalFleet): Promise<number> {
  for (;;) {
    const { status } = await fleet.ask('/readyz', { headers: { connection: 'close' } })
    if (status !== 200) return status
  }
}

function replicaOf({ replicas }: LocalFleet): ServiceProcess {
  const [replica] = replicas
  if (replica === undefined) throw new Error('no replica')
  return replica
}

test('SIGTERM under load: readiness fails first, no request fails, and the end is code 0', async () => {
  await using fleet = await startLocalFleet({ redis, env: { DRAIN_MS: '60000' } })
  const replica = replicaOf(fleet)
  expect((await fleet.ask('/readyz')).status).toBe(200)
  // A replica without clients does not wait for any.
  const stays = connect(replica.port, '127.0.0.1')
  await once(stays, 'connect')
  const load: Load = { answered: 0, left: 0, faults: [] }
  const running = Promise.all(Array.from({ length: clients }, () => client(replica.port, load)))
  await fleet.fake.waitForCalls(5)
  replica.kill('SIGTERM')
  expect(await untilNotReady(fleet)).toBe(503)
  // It still serves clients that have not noticed yet, and says that it is alive.
  expect((await fleet.ask('/1.1.1.1', { headers: { connection: 'close' } })).status).toBe(200)
  expect((await fleet.ask('/livez', { headers: { connection: 'close' } })).status).toBe(200)
  await running
  stays.destroy()
  expect(await replica.exited).toEqual({ code: 0, signal: null })
  expect(load.faults).toEqual([])
  expect(load.left).toBe(clients)
  expect(load.answered).toBeGreaterThan(clients)
  expect(replica.lines().map(({ msg }) => msg)).toEqual(expect.arrayContaining(['stopping', 'stopped']))
})

test('a request that is under way is answered before the end', async () => {
  await using fleet = await startLocalFleet({ redis })
  const replica = replicaOf(fleet)
  const gate = fleet.fake.hold()
  const asked = fleet.fake.nextCall()
  const reply = fleet.ask('/9.9.9.9')
  await asked
  replica.kill('SIGTERM')
  await replica.waitForLine(({ msg }) => msg === 'stopping')
  gate.release()
  expect((await reply).status).toBe(200)
  expect(await replica.exited).toEqual({ code: 0, signal: null })
})

test('a signal at the heels of the first is the same Ctrl-C; a later one ends it at once', async () => {
  await using fleet = await startLocalFleet({ redis, env: { DRAIN_MS: '60000' } })
  const replica = replicaOf(fleet)
  fleet.fake.hold()
  const asked = fleet.fake.nextCall()
  const lost = fleet.ask('/9.9.9.9').then(
    () => 'answered',
    () => 'lost',
  )
  await asked
  replica.kill('SIGTERM')
  await replica.waitForLine(({ msg }) => msg === 'stopping')
  const stoppingMs = performance.now()
  let hasEnded = false
  void replica.exited.then(() => (hasEnded = true))
  await until(() => {
    replica.kill('SIGINT')
    return hasEnded
  })
  const tookMs = performance.now() - stoppingMs
  expect(await replica.exited).toEqual({ code: 130, signal: null })
  expect(tookMs).toBeGreaterThan(500)
  expect(tookMs).toBeLessThan(30_000)
  expect(await lost).toBe('lost')
})
