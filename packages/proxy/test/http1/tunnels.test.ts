import { once } from 'node:events'
import type { Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, beforeEach, describe, expect, jest, test } from '@jest/globals'
import { standStill } from '@ipfleet/testing/stand-still.ts'
import { until } from '@ipfleet/testing/until.ts'
import { Tunnel, type TunnelReport } from '../../src/http1/tunnel.ts'
import { Tunnels } from '../../src/http1/tunnels.ts'
import { socketPair } from '@ipfleet/testing/socket-pair.ts'

const nothing = Buffer.alloc(0)
let tunnels: Tunnels
let opened: Socket[] = []

beforeEach(() => {
  tunnels = new Tunnels({ idleMs: 10_000 })
})
afterEach(async () => {
  await tunnels.drain(0)
  for (const socket of opened.splice(0)) socket.destroy()
})

/** One end of a tunnel, seen from outside. */
class End {
  readonly socket: Socket
  text = ''
  bytes = 0
  ended = false
  closed = false
  readonly errors: string[] = []

  constructor(socket: Socket) {
    this.socket = socket
    socket.on('data', (chunk: Buffer) => {
      this.bytes += chunk.length
      if (this.text.length < 10_000) this.text += chunk.toString('latin1')
    })
    socket.on('end', () => (this.ended = true))
    socket.on('close', () => (this.closed = true))
    socket.on('error', (error) => this.errors.push('code' in error ? String(error.code) : error.message))
  }
}

interface Stood {
  readonly client: End
  readonly server: End
  /** The two sockets between which the tunnel passes bytes. */
  readonly inner: readonly [Socket, Socket]
  readonly reports: TunnelReport[]
  readonly report: () => Promise<TunnelReport>
}

async function pairs(): Promise<readonly [End, Socket, Socket, End]> {
  const [[toClient, client], [toServer, server]] = [await socketPair(), await socketPair()]
  opened.push(toClient, client, toServer, server)
  return [new End(client), toClient, toServer, new End(server)]
}

async function stand(early: { fromClient?: string; fromServer?: string } = {}): Promise<Stood> {
  const [client, toClient, toServer, server] = await pairs()
  const reports: TunnelReport[] = []
  const { fromClient = '', fromServer = '' } = early
  const before = { fromClient: Buffer.from(fromClient), fromServer: Buffer.from(fromServer) }
  tunnels.join(toClient, toServer, before, (report) => reports.push(report))
  return { client, server, inner: [toClient, toServer], reports, report: () => until(() => reports[0]) }
}

/** Both ends are in this process: what is on its way takes turns of the event loop, however long they last. */
async function quietTurns(): Promise<false> {
  for (let turn = 0; turn < 100; turn += 1) await sleep(3)
  return false
}

/** Writes until no more is taken for a while; gives how much was. */
async function fill(socket: Socket): Promise<number> {
  const part = Buffer.alloc(65_536, 'x')
  for (let written = part.length; ; written += part.length) {
    if (socket.write(part)) continue
    const drained = await Promise.race([once(socket, 'drain').then(() => true), quietTurns()])
    // What came while this process stood still is seen first.
    await new Promise(setImmediate)
    if (!drained && socket.writableNeedDrain) return written
  }
}

describe('a tunnel', () => {
  test('passes bytes both ways, and counts them', async () => {
    const { client, server, reports, report } = await stand()
    client.socket.write('question')
    await until(() => server.text === 'question')
    server.socket.write('the answer')
    await until(() => client.text === 'the answer')
    expect([tunnels.count, reports]).toEqual([1, []])
    client.socket.end()
    server.socket.end()
    expect(await report()).toMatchObject({ end: 'closed', bytesUp: 8, bytesDown: 10 })
    expect(reports[0]?.durationMs).toBeGreaterThan(0)
    expect([tunnels.count, reports.length]).toEqual([0, 1])
  })

  test('passes on first what came early, and does not count it', async () => {
    const { client, server, report } = await stand({ fromClient: 'early question ', fromServer: 'early answer ' })
    client.socket.end('late')
    server.socket.end('later')
    await until(() => server.ended && client.ended)
    expect([server.text, client.text]).toEqual(['early question late', 'early answer later'])
    expect(await report()).toMatchObject({ end: 'closed', bytesUp: 4, bytesDown: 5 })
  })

  test.each(['client', 'server'] as const)('stays open the other way when the %s has said all', async (side) => {
    const stood = await stand()
    const [first, second] = side === 'client' ? [stood.client, stood.server] : [stood.server, stood.client]
    first.socket.end('all')
    await until(() => second.ended)
    expect([second.text, first.ended, tunnels.count]).toEqual(['all', false, 1])
    for (const word of ['still ', 'here']) {
      const { bytes } = first
      second.socket.write(word)
      await until(() => first.bytes === bytes + word.length)
    }
    second.socket.end()
    await until(() => first.ended)
    expect(first.text).toBe('still here')
    expect(await stood.report()).toMatchObject({ end: 'closed' })
    expect([...first.errors, ...second.errors]).toEqual([])
  })

  test.each<[string, string, (toClient: Socket) => unknown]>([
    ['something that is still unread', 'all', ({ readableLength }) => readableLength > 0],
    ['nothing', '', ({ readableEnded }) => readableEnded],
    ['something, on a socket that is paused', 'all', (toClient) => toClient.pause().readableLength > 0],
  ])('passes on what a side has said before the tunnel stood, and its end: %s', async (_what, said, isRead) => {
    const [client, toClient, toServer, server] = await pairs()
    client.socket.end(said)
    // What a server of HTTP does with the socket of an upgrade: it reads ahead.
    toClient.read(0)
    await until(() => isRead(toClient) === true)
    const reports: TunnelReport[] = []
    tunnels.join(toClient, toServer, { fromClient: nothing, fromServer: nothing }, (report) => reports.push(report))
    await until(() => server.ended)
    expect(server.text).toBe(said)
    server.socket.end('answer')
    await until(() => client.ended)
    expect(client.text).toBe('answer')
    expect(await until(() => reports[0])).toMatchObject({ end: 'closed' })
  })

  test.each(['client', 'server'] as const)('lets a %s that reads slowly slow down the writer', async (side) => {
    const stood = await stand()
    const [reader, writer] = side === 'client' ? [stood.client, stood.server] : [stood.server, stood.client]
    reader.socket.pause()
    const written = await fill(writer.socket)
    // What the system's buffers take; of this process there is one part on either side.
    expect(written).toBeLessThan(64_000_000)
    for (const socket of stood.inner) {
      expect(socket.writableLength).toBeLessThan(300_000)
      expect(socket.readableLength).toBeLessThan(300_000)
    }
    reader.socket.resume()
    writer.socket.end()
    await until(() => reader.ended)
    expect(reader.bytes).toBe(written)
    reader.socket.end()
    const { bytesUp, bytesDown } = await stood.report()
    expect([bytesUp, bytesDown]).toEqual(side === 'client' ? [0, written] : [written, 0])
  })
})

describe('when one side breaks', () => {
  test.each(['client', 'server'] as const)('the %s, the other gets what was sent and is closed', async (side) => {
    const stood = await stand()
    const [breaks, stays] = side === 'client' ? [stood.client, stood.server] : [stood.server, stood.client]
    breaks.socket.write('last words')
    await until(() => stays.bytes > 0)
    breaks.socket.resetAndDestroy()
    await until(() => stays.ended)
    stays.socket.end()
    expect(await stood.report()).toMatchObject({ end: 'broken' })
    expect([stays.text, stays.errors, tunnels.count]).toEqual(['last words', [], 0])
    await until(() => stays.closed)
  })

  test('the other gets all that was sent, also while it talks itself and does not listen', async () => {
    const { client, server, inner, report } = await stand()
    client.socket.pause()
    server.socket.pause()
    await fill(client.socket)
    const size = 400_000
    server.socket.write(Buffer.alloc(size, 'x'))
    await until(() => inner[1].bytesRead === size && inner[1].readableLength === 0)
    server.socket.resetAndDestroy()
    await until(() => inner[0].writableFinished)
    await new Promise((resolve) => setTimeout(resolve, 100))
    client.socket.resume()
    await until(() => client.ended || client.closed)
    expect([client.bytes, client.errors]).toEqual([size, []])
    client.socket.end()
    expect((await report()).end).toBe('broken')
  })

  test('the other is closed if it does not close by itself, whatever it says', async () => {
    const { client, server, report } = await stand()
    server.socket.resetAndDestroy()
    await until(() => client.ended)
    const talking = setInterval(() => client.socket.write('x'), 20)
    expect((await report()).end).toBe('broken')
    await until(() => client.closed)
    clearInterval(talking)
  })

  test('both at once, it ends once', async () => {
    const { client, server, reports, report } = await stand()
    client.socket.resetAndDestroy()
    server.socket.resetAndDestroy()
    await report()
    await new Promise((resolve) => setTimeout(resolve, 50))
    expect([reports.length, tunnels.count]).toEqual([1, 0])
  })

  test.each(['client', 'server', 'both'] as const)('before the tunnel stands: the %s', async (side) => {
    const [client, toClient, toServer, server] = await pairs()
    if (side !== 'server') toClient.destroy()
    if (side !== 'client') toServer.destroy()
    await until(() => (side === 'server' ? server.ended : client.ended))
    const reports: TunnelReport[] = []
    tunnels.join(toClient, toServer, { fromClient: nothing, fromServer: nothing }, (report) => reports.push(report))
    expect(reports).toEqual([])
    for (const end of [client, server]) void until(() => end.ended).then(() => end.socket.end())
    await until(() => reports.length > 0)
    expect([reports.length, reports[0]?.end, tunnels.count]).toEqual([1, 'closed', 0])
    expect([toClient.destroyed, toServer.destroyed]).toEqual([true, true])
  })
})

describe('a tunnel through which nothing passes', () => {
  test('is ended', async () => {
    tunnels.configure({ idleMs: 100 })
    const { client, server, report } = await stand()
    expect(await report()).toMatchObject({ end: 'idle', bytesUp: 0, bytesDown: 0 })
    await until(() => client.closed || client.ended)
    await until(() => server.closed || server.ended)
    expect(tunnels.count).toBe(0)
  })

  test('lives as long as a little does', async () => {
    const [client, toClient, toServer, server] = await pairs()
    const reports: TunnelReport[] = []
    const keeper = { maxBytes: Infinity, over: () => {} }
    const tunnel = new Tunnel(toClient, toServer, keeper, (report) => reports.push(report))
    const startedMs = performance.now()
    for (let time = 1; time <= 10; time += 1) {
      const [from, to] = time % 2 === 0 ? [client, server] : [server, client]
      const before = to.bytes
      from.socket.write('.')
      await until(() => to.bytes > before)
      tunnel.look(startedMs + time * 300, 400, Infinity)
    }
    expect(reports).toEqual([])
    tunnel.look(startedMs + 10 * 300 + 400, 400, Infinity)
    await until(() => reports.length > 0)
    expect(reports).toMatchObject([{ end: 'idle', bytesUp: 5, bytesDown: 5 }])
  })

  test('is not what passes nothing because this process stands still', async () => {
    tunnels.configure({ idleMs: 200 })
    const { client, server, report } = await stand()
    client.socket.write('hello')
    standStill(600)
    await until(() => server.text === 'hello')
    expect(await report()).toMatchObject({ end: 'idle', bytesUp: 5 })
  })

  test('because a side does not read what it was left is ended, whatever that side says', async () => {
    const { client, server, report } = await stand()
    client.socket.pause()
    await fill(server.socket)
    tunnels.configure({ idleMs: 300 })
    server.socket.resetAndDestroy()
    const talking = setInterval(() => client.socket.write('x'), 20)
    expect((await report()).end).toBe('idle')
    clearInterval(talking)
  })
})

describe('before the process stops', () => {
  test('tunnels may end by themselves, and no time is lost then', async () => {
    const { client, server, report } = await stand()
    const draining = tunnels.drain(10_000)
    client.socket.write('still')
    await until(() => server.text === 'still')
    client.socket.end()
    server.socket.end()
    const startMs = performance.now()
    await draining
    expect(performance.now() - startMs).toBeLessThan(5000)
    expect((await report()).end).toBe('closed')
  })

  test('those that do not are ended, each told once', async () => {
    const some = [await stand(), await stand(), await stand()]
    expect(tunnels.count).toBe(3)
    await tunnels.drain(50)
    expect(some.map(({ reports }) => reports.map(({ end }) => end))).toEqual([['stopped'], ['stopped'], ['stopped']])
    expect(tunnels.count).toBe(0)
    for (const { client, server } of some) await until(() => client.ended && server.ended)
    await tunnels.drain(50)
    expect(some.map(({ reports }) => reports.length)).toEqual([1, 1, 1])
  })
})

test('one timer looks after all tunnels, keeps no process alive and ends with the last of them', async () => {
  const [started, stopped] = [jest.spyOn(globalThis, 'setInterval'), jest.spyOn(globalThis, 'clearInterval')]
  const timerOf = (): NodeJS.Timeout => started.mock.results[0]?.value as NodeJS.Timeout
  const some = [await stand(), await stand()]
  expect(started).toHaveBeenCalledTimes(1)
  expect(timerOf().hasRef()).toBe(false)
  for (const { client, server, report } of some) {
    expect(stopped).not.toHaveBeenCalled()
    client.socket.end()
    server.socket.end()
    await report()
  }
  expect(stopped).toHaveBeenCalledWith(timerOf())
  await stand()
  expect(started).toHaveBeenCalledTimes(2)
  started.mockRestore()
  stopped.mockRestore()
})

test('one that is told of its end and throws keeps no other from its own', async () => {
  const [first, second] = [await pairs(), await pairs()]
  const ends: string[] = []
  const tasks: (() => void)[] = []
  const early = { fromClient: nothing, fromServer: nothing }
  tunnels.join(first[1], first[2], early, () => {
    throw new Error('a mistake')
  })
  tunnels.join(second[1], second[2], early, ({ end }) => ends.push(end))
  const spy = jest.spyOn(globalThis, 'queueMicrotask').mockImplementation((task) => void tasks.push(task))
  await tunnels.drain(0)
  spy.mockRestore()
  expect([tunnels.count, tasks.length]).toEqual([0, 2])
  const outcomes = tasks.map((task) => {
    try {
      task()
      return 'told'
    } catch (error) {
      return String(error)
    }
  })
  expect(outcomes.toSorted()).toEqual(['Error: a mistake', 'told'])
  expect(ends).toEqual(['stopped'])
})
