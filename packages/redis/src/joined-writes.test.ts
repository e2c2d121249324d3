import { once } from 'node:events'
import { createServer, type AddressInfo, type Socket } from 'node:net'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { connect } from './connection.ts'

/** What each read of the server has brought: commands that left in one write come in one read. */
const reads: string[] = []
const sockets = new Set<Socket>()
const server = createServer((socket) => {
  sockets.add(socket)
  socket.on('data', (bytes) => {
    const text = bytes.toString()
    reads.push(text)
    socket.write('+OK\r\n'.repeat(text.match(/^\*\d+\r$/gm)?.length ?? 0))
  })
})

beforeAll(async () => {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
})

afterAll(() => {
  for (const socket of sockets) socket.destroy()
  server.close()
})

test('commands that are sent in one go leave in one write, and what is resolved afterwards goes out behind them', async () => {
  const { port } = server.address() as AddressInfo
  const client = connect({ url: `redis://127.0.0.1:${port}` }, 'test', {
    protocol: 2,
    socketTimeout: 20_000,
    commandTimeout: 20_000,
  })
  try {
    await once(client, 'ready')
    // What a connection begins with has been read by then.
    await client.ping()
    reads.length = 0
    const sent = Promise.all([client.get('one'), client.set('two', Buffer.from('2'))])
    await Promise.resolve()
    expect(client.stream.writableLength).toBe(0)
    await sent
    const looked = [client.get('three')]
    await Promise.resolve()
    // Of another client, whose request has come in the same turn of the event loop.
    looked.push(client.get('four'))
    await Promise.all(looked)
    const behind = client.get('five')
    await Promise.resolve()
    await Promise.all([client.set('six', '6'), behind])
    expect(reads).toEqual([
      '*2\r\n$3\r\nget\r\n$3\r\none\r\n*3\r\n$3\r\nset\r\n$3\r\ntwo\r\n$1\r\n2\r\n',
      '*2\r\n$3\r\nget\r\n$5\r\nthree\r\n*2\r\n$3\r\nget\r\n$4\r\nfour\r\n',
      '*2\r\n$3\r\nget\r\n$4\r\nfive\r\n*3\r\n$3\r\nset\r\n$3\r\nsix\r\n$1\r\n6\r\n',
    ])
  } finally {
    client.disconnect()
  }
})
