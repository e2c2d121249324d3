import { once } from 'node:events'
import { connect } from 'node:net'
import { text } from 'node:stream/consumers'
import { afterEach, describe, expect, test } from '@jest/globals'
import { likelyFreePort } from '@ipfleet/testing/service-process-port.ts'
import { until } from '@ipfleet/testing/until.ts'
import { type FixtureConfig, isAlive, startWorkers, type WorkerFleet } from './worker-fleet.ts'

const fleets: WorkerFleet[] = []
afterEach(async () => {
  await Promise.all(fleets.splice(0).map((fleet) => fleet.killAll()))
})

async function start(config?: Partial<FixtureConfig>): Promise<WorkerFleet> {
  const fleet = await startWorkers(config)
  fleets.push(fleet)
  return fleet
}

const greetings = async (fleet: WorkerFleet): Promise<string[]> => {
  const answers = await Promise.all(Array.from({ length: 12 }, () => fleet.ask()))
  return [...new Set(answers.map(({ body }) => String(JSON.parse(body).greeting)))]
}

/** Requests that every worker is at work on. */
async function underWay(fleet: WorkerFleet, count: number, path = '/slow'): Promise<Promise<string>[]> {
  const answers = Array.from({ length: count }, () =>
    fleet.ask(path).then(
      ({ body }) => body,
      () => 'lost',
    ),
  )
  await until(() => fleet.lines().filter(({ msg }) => msg === 'slow').length === count)
  return answers
}

describe.each([1, 3])('with %d process', (workers) => {
  test('SIGHUP brings a good configuration to all', async () => {
    const fleet = await start({ workers })
    await fleet.configure({ greeting: 'good evening' })
    fleet.kill('SIGHUP')
    await fleet.waitForLine(({ msg }) => msg === 'configuration taken over')
    await until(async () => String(await greetings(fleet)) === 'good evening')
  })

  test('a bad one is logged with what is wrong with it, and changes nothing', async () => {
    const fleet = await start({ workers })
    await fleet.configure('{ this is not')
    fleet.kill('SIGHUP')
    const line = await fleet.waitForLine(({ faults }) => typeof faults === 'string')
    expect(line).toMatchObject({ level: 'error', faults: expect.stringContaining('JSON') })
    expect(await greetings(fleet)).toEqual(['hello'])
    await fleet.configure({ greeting: 'again' })
    fleet.kill('SIGHUP')
    await until(async () => String(await greetings(fleet)) === 'again')
  })

  test('one that cannot be put into force is logged, and the old one stays', async () => {
    const fleet = await start({ workers })
    await fleet.configure({ greeting: 'broken' })
    fleet.kill('SIGHUP')
    await fleet.waitForLine(({ msg }) => /could not (?:be taken over|take over)/.test(String(msg)))
    expect(await greetings(fleet)).toEqual(['hello'])
  })

  test('SIGTERM loses nothing that is under way, and ends with 0', async () => {
    const fleet = await start({ workers })
    const answers = await underWay(fleet, 12)
    fleet.kill('SIGTERM')
    expect(await Promise.all(answers)).toEqual(Array(12).fill('slow'))
    expect(await fleet.exited).toEqual({ code: 0, signal: null })
  })

  test('whoever connected before SIGTERM is answered, also from the queues', async () => {
    const fleet = await start({ workers })
    const sockets = Array.from({ length: 200 }, () => connect({ port: fleet.port, host: '127.0.0.1' }))
    await Promise.all(sockets.map((socket) => once(socket, 'connect')))
    // The requests are on their way before the signal: one that comes over 250 ms after it may find a closed connection.
    for (const socket of sockets) socket.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n')
    fleet.kill('SIGTERM')
    const answers = sockets.map((socket) => text(socket).catch(String))
    const served = (await Promise.all(answers)).filter((answer) => answer.startsWith('HTTP/1.1 200'))
    expect(served).toHaveLength(200)
    expect(await fleet.exited).toEqual({ code: 0, signal: null })
  })

  test("a terminal's Ctrl-C, which reaches every process, loses nothing either", async () => {
    const fleet = await start({ workers })
    const answers = await underWay(fleet, 6)
    process.kill(-fleet.pid, 'SIGINT')
    expect(await Promise.all(answers)).toEqual(Array(6).fill('slow'))
    expect(await fleet.exited).toEqual({ code: 0, signal: null })
  })

  test('a signal that comes again and again ends all at once, a second after the first', async () => {
    const fleet = await start({ workers })
    const pids = await fleet.pids(workers)
    const answers = await underWay(fleet, 2, '/never')
    fleet.kill('SIGTERM')
    await fleet.waitForLine(({ msg }) => msg === 'stopping')
    let hasEnded = false
    void fleet.exited.then(() => (hasEnded = true))
    await until(() => {
      fleet.kill('SIGINT')
      return hasEnded
    })
    expect(await fleet.exited).toEqual({ code: 130, signal: null })
    expect(await Promise.all(answers)).toEqual(['lost', 'lost'])
    await until(() => !pids.some(isAlive))
  })

  test('a port that is taken is said in plain words, and ends with 1', async () => {
    const { port } = await start({ workers: 1 })
    const second = startWorkers({ workers, port })
    await expect(second).rejects.toThrow(/exited with code 1/)
    await expect(second).rejects.toThrow(
      `Cannot listen on 127.0.0.1:${port}: another process has the port (EADDRINUSE)`,
    )
    await expect(second).rejects.not.toThrow(/replaced|at Server|TypeError/)
  })
})

test('workers that come later have the new configuration too, and the port, also when all had died', async () => {
  const fleet = await start({ workers: 2, port: likelyFreePort() })
  await fleet.configure({ greeting: 'good evening' })
  fleet.kill('SIGHUP')
  await fleet.waitForLine(({ msg }) => msg === 'configuration taken over')
  const before = await fleet.pids(2)
  for (const pid of before) process.kill(pid, 'SIGKILL')
  await until(async () => !(await fleet.pids(2)).some((pid) => before.includes(pid)))
  expect(await greetings(fleet)).toEqual(['good evening'])
})

test('a new number of workers takes effect; who leaves finishes its requests and leaves its counts', async () => {
  const fleet = await start({ workers: 3 })
  await Promise.all(Array.from({ length: 30 }, () => fleet.ask()))
  const answers = await underWay(fleet, 6)
  await fleet.configure({ workers: 2 })
  fleet.kill('SIGHUP')
  expect(await Promise.all(answers)).toEqual(Array(6).fill('slow'))
  await until(async () => (await fleet.metric('ipfleet_edge_workers')) === 2)
  await until(async () => (await fleet.metric('requests_total{path="/"}')) === 30)
  await fleet.configure({ workers: 4 })
  fleet.kill('SIGHUP')
  await fleet.pids(4)
  expect(JSON.parse((await fleet.ask()).body)).toMatchObject({ workers: 4 })
  expect(fleet.output()).not.toContain('is replaced')
})

test('when the primary is killed, the workers finish what is in flight and end', async () => {
  const fleet = await start({ workers: 3 })
  const pids = await fleet.pids(3)
  const answers = await underWay(fleet, 6)
  fleet.kill('SIGKILL')
  expect(await Promise.all(answers)).toEqual(Array(6).fill('slow'))
  await until(() => !pids.some(isAlive))
})

test('a worker that cannot start ends the service with its reason', async () => {
  await expect(startWorkers({ workers: 3, greeting: 'broken' })).rejects.toThrow(
    /exited with code 1 .*a broken greeting/s,
  )
})
