import { connect, createServer } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'

/** Whether a server could listen on this loopback port now. Throws on anything but a taken port. */
export function isPortFree(port: number): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.once('error', (error) => {
      if ('code' in error && error.code === 'EADDRINUSE') resolve(false)
      else reject(error)
    })
    server.listen({ port, host: '127.0.0.1', exclusive: true }, () => server.close(() => resolve(true)))
  })
}

/**
 * A port that is likely free, from below the ephemeral ones (from 32768 on Linux, 49152 elsewhere): while its
 * server is down, no outgoing connection can be given it. Each worker of jest has a range of its own, in which no port
 * comes twice: another test file does not take what this one has found free.
 */
export function likelyFreePort(): number {
  nextPort = (nextPort + 1) % portsOfWorker
  return 20_000 + (Number(process.env['JEST_WORKER_ID'] ?? 0) % 16) * portsOfWorker + nextPort
}

const portsOfWorker = 600
let nextPort = Math.floor(Math.random() * portsOfWorker)

/** One that was free a moment ago, for programs that are told theirs. */
export async function freePort(): Promise<number> {
  const port = likelyFreePort()
  return (await isPortFree(port)) ? port : freePort()
}

/** Resolves once something accepts connections on this loopback port; rejects when `signal` aborts. */
export async function waitUntilListening(port: number, signal: AbortSignal): Promise<void> {
  if (await accepts(port)) return undefined
  await sleep(20, undefined, { signal })
  return waitUntilListening(port, signal)
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ port, host: '127.0.0.1' })
    socket.once('connect', () => {
      socket.destroy()
      resolve(true)
    })
    socket.once('error', () => resolve(false))
  })
}
