import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { fileURLToPath } from 'node:url'
import { expect, test } from '@jest/globals'
import { startService } from '../src/service-process.ts'
import { likelyFreePort } from '../src/service-process-port.ts'

async function open(port: number, localAddress: string): Promise<Socket> {
  const socket = connect({ port, host: '127.0.0.1', localAddress })
  socket.on('error', () => undefined)
  await once(socket, 'connect')
  return socket
}

/** Whether `/livez` is answered on a connection of its own. */
async function isServed(port: number, localAddress: string): Promise<boolean> {
  const socket = await open(port, localAddress)
  const { promise: closed, resolve } = Promise.withResolvers<unknown>()
  // Not `once` of node:events, which rejects when the connection is reset.
  socket.on('close', resolve)
  socket.write('GET /livez HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n')
  let answer = ''
  socket.on('data', (bytes) => (answer += bytes.toString('latin1')))
  await closed
  return answer.startsWith('HTTP/1.1 200')
}

test.each(['lookup', 'bulk'])('%s closes what is over MAX_CONNECTIONS_PER_CLIENT of one address', async (name) => {
  const service = await startService({
    entry: fileURLToPath(new URL(`../../../services/${name}/src/main.ts`, import.meta.url)),
    name,
    env: {
      PORT: '0',
      HOST: '127.0.0.1',
      LOG_FORMAT: 'json',
      DRAIN_MS: '0',
      MAX_CONNECTIONS_PER_CLIENT: '3',
      TRUST_PROXY: '127.0.0.9',
      ...(name === 'bulk' && { REDIS_URL: `redis://127.0.0.1:${likelyFreePort()}` }),
    },
  })
  const idle: Socket[] = []
  try {
    const { port } = service
    for (const from of ['127.0.0.2', '127.0.0.9'])
      for (let count = 0; count < 3; count += 1) idle.push(await open(port, from))
    expect(await isServed(port, '127.0.0.2')).toBe(false)
    expect(await isServed(port, '127.0.0.3')).toBe(true)
    expect(await isServed(port, '127.0.0.9')).toBe(true)
  } finally {
    for (const socket of idle) socket.destroy()
    await service.stop()
  }
})
