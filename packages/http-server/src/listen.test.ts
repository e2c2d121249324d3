import { createServer } from 'node:http'
import type { Server } from 'node:http'
import { afterEach, expect, test } from '@jest/globals'
import { ListenError, listen } from './listen.ts'

const servers: Server[] = []
function server(): Server {
  const made = createServer()
  servers.push(made)
  return made
}
afterEach(() => {
  for (const made of servers.splice(0)) made.close()
})

test('port 0 gives the port that was taken', async () => {
  const made = server()
  const port = await listen(made, { port: 0, host: '127.0.0.1' })
  expect(made.address()).toMatchObject({ port })
})

test('a port that is taken is named in the error', async () => {
  const port = await listen(server(), { port: 0, host: '127.0.0.1' })
  const second = listen(server(), { port, host: '127.0.0.1' })
  await expect(second).rejects.toThrow(
    `Cannot listen on 127.0.0.1:${port}: another process has the port (EADDRINUSE). Which one: ss -ltnp 'sport = :${port}'`,
  )
  await expect(second).rejects.toBeInstanceOf(ListenError)
})

test('an address of another machine is named in the error', async () => {
  const listening = listen(server(), { port: 0, host: '192.0.2.1' })
  await expect(listening).rejects.toMatchObject({
    code: 'EADDRNOTAVAIL',
    message: expect.stringContaining('192.0.2.1:0'),
  })
})
