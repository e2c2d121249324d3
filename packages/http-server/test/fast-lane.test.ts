import { once } from 'node:events'
import { createServer } from 'node:http'
import { connect, type Socket } from 'node:net'
import { text } from 'node:stream/consumers'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { afterEach, describe, expect, test } from '@jest/globals'
import { standStill } from '@ipfleet/testing/stand-still.ts'
import { gracefulClose } from '../src/graceful-close.ts'
import type { ServerLimits } from '../src/harden-server.ts'
import { listen } from '../src/listen.ts'
import { get, type LaneServer, post, startLaneServer } from './lane-server.ts'

const cleanups: (() => unknown)[] = []
afterEach(() => {
  for (const cleanup of cleanups.splice(0)) cleanup()
})

async function start(limits: ServerLimits = {}, padding = ''): Promise<LaneServer> {
  const running = await startLaneServer({ limits, padding })
  cleanups.push(running.stop)
  return running
}

/** A client that says what it gets. */
function client(port: number) {
  const socket = connect({ port, host: '127.0.0.1', noDelay: true, allowHalfOpen: true })
  socket.on('error', () => undefined)
  cleanups.push(() => socket.destroy())
  let got = ''
  socket.on('data', (chunk) => (got += chunk.toString('latin1')))
  const bodies = (): string[] => wholeBodies(got)
  /** Resolves when so many bodies are there. */
  const answers = async (count: number): Promise<string[]> => {
    while (bodies().length < count) await once(socket, 'data')
    return bodies()
  }
  /** Sends, and waits for one more answer. */
  const ask = async (bytes: string): Promise<string> => {
    const before = bodies().length
    socket.write(bytes)
    return (await answers(before + 1)).at(-1) as string
  }
  return { socket, ask, answers, got: () => got }
}

/** Of all answers that are there as a whole. */
function wholeBodies(answers: string): string[] {
  const bodies: string[] = []
  for (let at = 0; ;) {
    const bodyAt = answers.indexOf('\r\n\r\n', at) + 4
    const end = bodyAt + Number(/content-length: (\d+)/i.exec(answers.slice(at, bodyAt))?.[1])
    if (bodyAt < 4 || !(end <= answers.length)) return bodies
    bodies.push(answers.slice(bodyAt, end))
    at = end
  }
}

async function ended(socket: Socket): Promise<void> {
  if (!socket.readableEnded && !socket.destroyed) await once(socket, 'end')
}

test('Node does what the lane relies on: one listener for connections, one for data, bytes that are counted', async () => {
  // Proven with Node 26. With another one, the fuzz tests beside this one have to be run long (npm run test:long).
  expect(Number.parseInt(process.versions.node, 10)).toBe(26)
  const server = createServer((_req, res) => res.end())
  expect(server.listeners('connection')).toHaveLength(1)
  const seen = new Promise<[Socket, number]>((resolve) => {
    server.on('request', ({ socket }, res) => res.once('close', () => resolve([socket, socket.bytesRead])))
  })
  const port = await listen(server, { port: 0, host: '127.0.0.1' })
  cleanups.push(
    () => server.close(),
    () => server.closeAllConnections(),
  )
  client(port).socket.write(get('/a', 'A: b'))
  const [socket, bytesRead] = await seen
  expect(socket.listenerCount('data')).toBe(1)
  expect(bytesRead).toBe(get('/a', 'A: b').length)
})

describe('a connection', () => {
  test('is answered by the lane, by node:http in between, and by the lane again', async () => {
    const { port, answeredBy } = await start()
    const { ask } = client(port)
    expect(await ask(get('/hit'))).toBe('GET /hit ')
    expect(await ask(get('/miss'))).toBe('GET /miss ')
    expect(await ask(get('/hit'))).toBe('GET /hit ')
    expect(await ask(post('/hit', 'body'))).toBe('POST /hit body')
    expect(await ask(get('/hit'))).toBe('GET /hit ')
    expect(await ask(get('/hit', 'A:  two spaces'))).toBe('GET /hit ')
    expect(await ask(get('/hit'))).toBe('GET /hit ')
    expect(answeredBy).toEqual(['lane', 'http', 'lane', 'http', 'lane', 'http', 'lane'])
  })

  test('gets the same fields from both', async () => {
    const { port } = await start()
    const { ask, got } = client(port)
    await ask(get('/hit'))
    await ask(get('/miss'))
    const names = got()
      .split('HTTP/1.1 200 OK')
      .slice(1)
      .map((answer) => answer.split('\r\n\r\n')[0]?.replaceAll(/Content-Length: \d+|(?<=Date: ).*/g, ''))
    expect(names[0]).toBe(names[1])
    expect(names[0]).toContain('Keep-Alive: timeout=75')
  })

  test('has its pipelined requests answered in order, whichever of the two answers', async () => {
    const { port } = await start()
    const { socket, answers } = client(port)
    socket.write(get('/hit') + get('/a') + get('/hit') + post('/b', 'x') + get('/hit') + get('/c'))
    const expected = ['GET /hit ', 'GET /a ', 'GET /hit ', 'POST /b x', 'GET /hit ', 'GET /c ']
    expect(await answers(6)).toEqual(expected)
  })

  test('that pipelines more than a turn allows gets all answers, and others get theirs', async () => {
    const { port } = await start()
    const { socket, answers } = client(port)
    const paths = Array.from({ length: 500 }, (_, index) => `/hit${index}`)
    socket.write(paths.map((path) => get(path)).join(''))
    expect(await client(port).ask(get('/hit'))).toBe('GET /hit ')
    expect(await answers(500)).toEqual(paths.map((path) => `GET ${path} `))
  })

  test.each([
    ['a head in two parts', ['GET /hit HTTP/1.1\r\nHo', 'st: a\r\n\r\n'], ['GET /hit ']],
    ['a head byte by byte', get('/hit').split(''), ['GET /hit ']],
    ['a body behind its head', [post('/a', 'body').slice(0, -4), 'body'], ['POST /a body']],
    [
      'a body that looks like requests',
      [post('/a', get('/hit')).slice(0, -20), get('/hit').slice(-20)],
      [`POST /a ${get('/hit')}`],
    ],
    [
      'a head behind a body, whose rest looks like a request',
      [`${post('/a', 'x')}GET /b HTTP/1.1\r\nHost: a\r\nA: `, get('/hit')],
      ['POST /a x', 'GET /b '],
    ],
    [
      'a chunked body, whose end comes with the next request',
      ['POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n', `\r\n${get('/hit')}`],
      ['POST /a x', 'GET /hit '],
    ],
    ['an empty line between requests', [get('/a'), `\r\n${get('/hit')}`], ['GET /a ', 'GET /hit ']],
  ])('%s', async (_what, parts, expected) => {
    const { server, port } = await start()
    const accepted = once(server, 'connection')
    const { socket, answers } = client(port)
    const [connection] = (await accepted) as [Socket]
    let sent = 0
    for (const part of parts) {
      socket.write(part, 'latin1')
      sent += part.length
      // A read of its own for each part.
      while (connection.bytesRead < sent) await nextTurn()
    }
    socket.write(get('/last'))
    expect(await answers(expected.length + 1)).toEqual([...expected, 'GET /last '])
  })

  test('has its next request wait while node:http is still answering', async () => {
    const { server, port, holding, release } = await start()
    const accepted = once(server, 'connection')
    const { socket, answers } = client(port)
    const [connection] = (await accepted) as [Socket]
    const both = get('/hold') + get('/hit')
    socket.write(get('/hold'))
    await holding
    socket.write(get('/hit'))
    while (connection.bytesRead < both.length) await nextTurn()
    release()
    expect(await answers(2)).toEqual(['GET /hold ', 'GET /hit '])
  })

  test('that its client half-closes gets its answers and ends', async () => {
    const { port } = await start()
    const { socket, answers } = client(port)
    socket.end(get('/hit').repeat(3))
    expect(await answers(3)).toEqual(['GET /hit ', 'GET /hit ', 'GET /hit '])
    await ended(socket)
  })

  test('is refused like any other when what follows is no request', async () => {
    const { port, refusals } = await start()
    const { socket, answers, got } = client(port)
    socket.write(`${get('/hit')}nonsense\r\n\r\n${get('/hit')}`)
    await ended(socket)
    expect((await answers(2))[0]).toBe('GET /hit ')
    expect(got().match(/HTTP\/1\.1 \d+/g)).toEqual(['HTTP/1.1 200', 'HTTP/1.1 400'])
    expect(refusals.map(({ code }) => code)).toEqual(['bad_request'])
  })

  test('may not become a tunnel', async () => {
    const { port } = await start()
    const { socket, ask, got } = client(port)
    await ask(get('/hit'))
    socket.write('CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n')
    await ended(socket)
    expect(got()).toContain('HTTP/1.1 405')
  })
})

describe('limits', () => {
  test('a connection that brings nothing is told so and ended, as by node:http', async () => {
    const { port, refusals } = await start({ headersTimeoutMs: 100 })
    const { socket, got } = client(port)
    await ended(socket)
    expect(got()).toContain('HTTP/1.1 408')
    expect(refusals.map(({ status }) => status)).toEqual([408])
  })

  test('a request that comes while this process stands still is answered', async () => {
    const { server, port, answeredBy } = await start({ headersTimeoutMs: 2500 })
    const accepted = once(server, 'connection')
    const { socket, answers } = client(port)
    await Promise.all([accepted, once(socket, 'connect')])
    socket.write(get('/hit'))
    standStill(3000)
    expect(await answers(1)).toEqual(['GET /hit '])
    expect(answeredBy).toEqual(['lane'])
  })

  test('half a head is given as long as node:http gives it', async () => {
    const { port } = await start({ headersTimeoutMs: 100 })
    const { socket, got } = client(port)
    socket.write('GET /hit HTTP/1.1\r\nHost: a')
    await ended(socket)
    expect(got()).toContain('HTTP/1.1 408')
  })

  test.each([
    ['the lane', get('/hit')],
    ['node:http', get('/miss')],
  ])('an idle connection is closed without a word after an answer of %s', async (_by, request) => {
    const { port } = await start({ keepAliveTimeoutMs: 50 })
    const { socket, answers, got } = client(port)
    socket.write(request)
    await answers(1)
    await ended(socket)
    expect(got().match(/HTTP\/1\.1 /g)).toHaveLength(1)
  })

  test('nothing more is read of a client that does not take its answers', async () => {
    const { server, port, answeredBy } = await start({}, 'x'.repeat(30_000))
    const accepted = once(server, 'connection')
    const socket = connect({ port, host: '127.0.0.1' })
    cleanups.push(() => socket.destroy())
    socket.pause()
    const [connection] = (await accepted) as [Socket]
    const stopped = once(connection, 'pause')
    socket.write(get('/hit').repeat(20_000))
    await stopped
    // 600 MB would be answered. What the kernel takes of it is a few MB.
    expect(await client(port).ask(get('/miss'))).toBe('GET /miss ')
    expect(connection.writableLength).toBeLessThan(1_000_000)
    expect(answeredBy.length).toBeLessThan(10_000)
  })
})

describe('the graceful close', () => {
  test('ends idle connections of the lane at once', async () => {
    const { server, port } = await start()
    const idle = [client(port), client(port)]
    for (const { ask } of idle) await ask(get('/hit'))
    await gracefulClose(server, { drainMs: 0, deadlineMs: 600_000 })
    await Promise.all(idle.map(({ socket }) => ended(socket)))
  })

  test('tells clients that ask until then that the connection ends', async () => {
    const { server, port } = await start()
    const { socket, ask, got } = client(port)
    await ask(get('/hit'))
    const draining = Promise.withResolvers<void>()
    const closed = gracefulClose(server, { drainMs: 600_000, onDraining: draining.resolve })
    await draining.promise
    expect(await ask(get('/hit'))).toBe('GET /hit ')
    expect(got()).toContain('Connection: close')
    await ended(socket)
    socket.destroy()
    await closed
  })

  test('lets a client that has fallen behind take what is answered, and tells it that this was all', async () => {
    const { server, port } = await start({}, 'x'.repeat(60_000))
    const accepted = once(server, 'connection')
    const socket = connect({ port, host: '127.0.0.1' }).pause()
    cleanups.push(() => socket.destroy())
    const [connection] = (await accepted) as [Socket]
    const paused = once(connection, 'pause')
    socket.write(get('/hit').repeat(300))
    await paused
    const closed = gracefulClose(server, { drainMs: 0, deadlineMs: 600_000 })
    const got = await text(socket)
    expect(got).toMatch(/Connection: close\r\n\r\nGET \/hit $/)
    expect(got.match(/HTTP\/1\.1 200/g)?.length).toBeGreaterThan(1)
    await closed
  })
})
