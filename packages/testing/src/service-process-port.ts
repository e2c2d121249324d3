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
 * server is down, no outgoing connection can be given it. Random, for test files run side by side.
 */
export function likelyFreePort(): number {
  return 20_000 + Math.floor(Math.random() * 10_000)
}

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
