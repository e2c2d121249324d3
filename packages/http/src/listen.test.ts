import { once } from 'node:events'
import { createServer } from 'node:http'
import { expect, test } from '@jest/globals'
import { ListenError, listen } from './listen.ts'

test('port 0 gives the port that was taken', async () => {
  const server = createServer()
  const port = await listen(server, { port: 0, host: '127.0.0.1' })
  expect(server.address()).toMatchObject({ port })
  server.close()
  await once(server, 'close')
})

test('a port that is taken is named in the error', async () => {
  const first = createServer()
  const port = await listen(first, { port: 0, host: '127.0.0.1' })
  const second = listen(createServer(), { port, host: '127.0.0.1' })
  await expect(second).rejects.toThrow(`Cannot listen on 127.0.0.1:${port}: another process has the port (EADDRINUSE)`)
  await expect(second).rejects.toBeInstanceOf(ListenError)
  first.close()
  await once(first, 'close')
})

test('an address of another machine is named in the error', async () => {
  const listening = listen(createServer(), { port: 0, host: '192.0.2.1' })
  await expect(listening).rejects.toMatchObject({
    code: 'EADDRNOTAVAIL',
    message: expect.stringContaining('192.0.2.1:0'),
  })
})
