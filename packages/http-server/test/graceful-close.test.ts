import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { Agent, createServer, request } from 'node:http'
import type { IncomingMessage } from 'node:http'
import { connect } from 'node:net'
import { createInterface } from 'node:readline'
import { text } from 'node:stream/consumers'
import { setImmediate as nextTurn, setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { afterEach, expect, test } from '@jest/globals'
import { sameSignalMs } from '@ipfleet/core/stop-signals.ts'
import { gracefulClose } from '../src/graceful-close.ts'
import { listen } from '../src/listen.ts'

const script = fileURLToPath(new URL('fixture-server-process.ts', import.meta.url))
const cleanups: (() => unknown)[] = []
afterEach(() => {
  for (const cleanup of cleanups.splice(0)) cleanup()
})

async function start(...args: string[]) {
  const child = spawn(process.execPath, [script, ...args], { stdio: ['ignore', 'pipe', 'inherit'] })
  cleanups.push(() => child.kill('SIGKILL'))
  const exited = once(child, 'exit')
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  /** Reads the output up to this line. */
  const said = async (beginning: string): Promise<string> => {
    const { value, done } = await lines.next()
    if (done === true) throw new Error(`ended without saying ${beginning}`)
    return value.startsWith(beginning) ? value : await said(beginning)
  }
  const port = Number((await said('port ')).slice(5))
  return { child, exited, port, said }
}

function agent(options = {}): Agent {
  const made = new Agent({ keepAlive: true, ...options })
  cleanups.push(() => made.destroy())
  return made
}

async function ask(port: number, path: string, via: Agent): Promise<{ res: IncomingMessage; body: string }> {
  const req = request({ port, host: '127.0.0.1', path, agent: via }).end()
  const [res] = await once(req, 'response')
  return { res, body: await text(res) }
}

function codeOf(error: unknown): string {
  return typeof error === 'object' && error !== null && 'code' in error ? String(error.code) : String(error)
}

/** Waits until no server listens on the port. */
async function refused(port: number): Promise<void> {
  const probe = connect({ port, host: '127.0.0.1' })
  const code = await once(probe, 'connect').then(() => 'open', codeOf)
  probe.destroy()
  if (code !== 'ECONNREFUSED') await refused(port)
}

/**
 * Clients that ask without a pause for as long as they may; gives what went wrong, and how many were answered.
 * `onBusy`: called when a hundred were.
 */
async function load(port: number, clients: number, mayAsk: (last?: IncomingMessage) => boolean, onBusy: () => void) {
  const faults: string[] = []
  let answered = 0
  const client = async (via: Agent): Promise<void> => {
    let last: IncomingMessage | undefined
    while (mayAsk(last)) {
      try {
        const { res, body } = await ask(port, '/', via)
        last = res
        answered += 1
        if (answered === 100) onBusy()
        if (body !== 'ok') faults.push(`answer: ${body}`)
      } catch (error) {
        faults.push(codeOf(error))
        return
      }
    }
  }
  await Promise.all(Array.from({ length: clients }, () => client(agent({ maxSockets: 1 }))))
  return { faults, answered }
}

test('an edge that watches readiness loses nothing, also not a refused connection', async () => {
  const { child, port, exited } = await start('60000')
  const checks = agent()
  let ready = true
  const watch = async (): Promise<void> => {
    while (ready) {
      ready = (await ask(port, '/readyz', checks)).res.statusCode === 200
      await delay(20)
    }
  }
  const busy = Promise.withResolvers<void>()
  const loaded = load(port, 20, () => ready, busy.resolve)
  const watched = watch()
  await Promise.race([busy.promise, loaded])
  child.kill('SIGTERM')
  const { faults, answered } = await loaded
  await watched
  expect(ready).toBe(false)
  expect(faults).toEqual([])
  expect(answered).toBeGreaterThan(100)
  expect(await exited).toEqual([0, null])
})

test('keep-alive clients that never look at readiness lose nothing until they are told goodbye', async () => {
  const { child, port, exited } = await start('60000')
  const busy = Promise.withResolvers<void>()
  const loaded = load(port, 20, (last) => last?.headers.connection !== 'close', busy.resolve)
  await Promise.race([busy.promise, loaded])
  child.kill('SIGTERM')
  const { faults, answered } = await loaded
  expect(faults).toEqual([])
  expect(answered).toBeGreaterThan(100)
  expect(await exited).toEqual([0, null])
})

test('a client that connected before the end is answered, also from the queue of the kernel', async () => {
  const { child, port, exited } = await start('0')
  // So that all wait there when the end begins.
  child.kill('SIGSTOP')
  const sockets = Array.from({ length: 200 }, () => connect({ port, host: '127.0.0.1' }))
  await Promise.all(sockets.map((socket) => once(socket, 'connect')))
  const answers = sockets.map((socket) => {
    socket.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n')
    return text(socket)
  })
  child.kill('SIGTERM')
  child.kill('SIGCONT')
  const served = (await Promise.all(answers)).filter((answer) => /^HTTP\/1.1 200 [^]*ok$/.test(answer))
  expect(served).toHaveLength(200)
  expect(await exited).toEqual([0, null])
})

test('a request that came while the process could not run is answered, however late it is read', async () => {
  const server = createServer((_req, res) => res.end('ok'))
  const port = await listen(server, { port: 0, host: '127.0.0.1' })
  const socket = connect({ port, host: '127.0.0.1' })
  await Promise.all([once(server, 'connection'), once(socket, 'connect')])
  const closed = gracefulClose(server, { drainMs: 0 })
  // Resumes after the loop has polled, and before it runs timers.
  while (server.listening) await nextTurn()
  socket.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n')
  for (const untilMs = performance.now() + 300; performance.now() < untilMs;);
  expect(await text(socket)).toMatch(/^HTTP\/1\.1 200 [^]*ok$/)
  await closed
})

test('while draining an answer says goodbye, and a new client is still served', async () => {
  const { child, port, said } = await start('60000')
  const kept = agent()
  expect((await ask(port, '/', kept)).res.headers.connection).toBe('keep-alive')
  child.kill('SIGTERM')
  await said('draining')
  expect((await ask(port, '/', kept)).res.headers.connection).toBe('close')
  expect((await ask(port, '/readyz', agent())).res.statusCode).toBe(503)
})

test('a request under way is answered after the listener is gone', async () => {
  const { child, port, said, exited } = await start('0')
  const holding = ask(port, '/hold', agent())
  await said('holding')
  // Open before the end, its request on the way meanwhile.
  const late = connect({ port, host: '127.0.0.1' })
  await once(late, 'connect')
  child.kill('SIGTERM')
  late.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n')
  await said('draining')
  await refused(port)
  child.kill('SIGUSR2')
  expect(await text(late)).toMatch(/ok$/)
  const { res, body } = await holding
  expect([body, res.headers.connection]).toEqual(['held', 'close'])
  expect(await exited).toEqual([0, null])
})

test('an answer that never ends and a tunnel are cut off at the deadline', async () => {
  const { child, port, said, exited } = await start('0', '300')
  const holding = ask(port, '/hold', agent())
  const cut = holding.then(() => 'answered', codeOf)
  await said('holding')
  const tunnel = connect({ port, host: '127.0.0.1' })
  tunnel.write('GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n')
  await once(tunnel, 'data')
  tunnel.resume()
  const tunnelClosed = once(tunnel, 'close')
  child.kill('SIGTERM')
  expect(await cut).toBe('ECONNRESET')
  await tunnelClosed
  expect(await exited).toEqual([0, null])
})

test('idle connections and silent ones do not hold the process up', async () => {
  const { child, port, exited } = await start('0', '15000')
  await ask(port, '/', agent())
  const silent = connect({ port, host: '127.0.0.1' })
  await once(silent, 'connect')
  const startMs = performance.now()
  child.kill('SIGTERM')
  expect(await exited).toEqual([0, null])
  expect(performance.now() - startMs).toBeLessThan(10_000)
  silent.destroy()
})

test('without a connection the drain is cut short', async () => {
  const { child, exited } = await start('60000')
  child.kill('SIGINT')
  expect(await exited).toEqual([0, null])
})

test.each([
  ['SIGTERM', 143],
  ['SIGINT', 130],
] as const)('a second %s ends the process at once with %d', async (signal, code) => {
  const { child, port, said, exited } = await start('60000')
  const holding = ask(port, '/hold', agent()).catch(() => {})
  await said('holding')
  child.kill('SIGTERM')
  await said('draining')
  // Sooner it would be the same Ctrl-C, by the clock of the process.
  await delay(2 * sameSignalMs)
  child.kill(signal)
  expect(await exited).toEqual([code, null])
  await holding
})

test('a stop that fails is logged and ends with 1', async () => {
  const { child, said, exited } = await start('0', '0', 'on purpose')
  child.kill('SIGTERM')
  await said('could not stop cleanly')
  expect(await exited).toEqual([1, null])
})
