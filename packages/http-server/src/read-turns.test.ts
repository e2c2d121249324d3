import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { afterEach, expect, test } from '@jest/globals'
import { ReadTurns } from './read-turns.ts'

const cleanups: (() => unknown)[] = []
afterEach(() => {
  for (const cleanup of cleanups.splice(0)) cleanup()
})

function busyFor(ms: number): void {
  const endMs = performance.now() + ms
  while (performance.now() < endMs) continue
}

test('a client rests twice as long as what it sent took, also on its other and new connections', async () => {
  const turns = new ReadTurns()
  const begunMs: number[] = []
  const endedMs: number[] = []
  const { promise: allRead, resolve } = Promise.withResolvers<void>()
  const server = createServer()
  server.on('connection', (socket: Socket) => {
    turns.add(socket)
    socket.on('data', () => {
      begunMs.push(performance.now())
      turns.restOthers(socket)
      busyFor(40)
      endedMs.push(performance.now())
      if (endedMs.length === 4) resolve()
    })
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const { port } = server.address() as AddressInfo
  cleanups.push(() => server.close())
  for (let count = 0; count < 4; count += 1) {
    const client = connect({ port, host: '127.0.0.1' })
    cleanups.push(() => client.destroy())
    await once(client, 'connect')
    client.write('much')
  }
  await allRead
  const restsMs = begunMs.slice(1).map((beginMs, index) => beginMs - (endedMs[index] ?? 0))
  expect(Math.min(...restsMs)).toBeGreaterThan(75)
})
