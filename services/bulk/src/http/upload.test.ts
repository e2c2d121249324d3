import { once } from 'node:events'
import { createServer, type IncomingMessage, request } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import { expect, test } from '@jest/globals'
import { Upload } from './upload.ts'

test('a body that fails before it is read reports that to its reader alone', async () => {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const client = request({ host: '127.0.0.1', port, method: 'POST' }).on('error', () => {})
  client.write('8.8.8.8\n')
  const [req] = (await once(server, 'request')) as [IncomingMessage]
  const slow = new Upload(req, 'subject', { maxMs: 1 })
  const left = new Upload(req, 'subject', {})
  await new Promise((resolve) => slow.once('close', resolve))
  await expect(text(slow)).rejects.toMatchObject({ code: 'request_timeout' })
  client.destroy()
  await new Promise((resolve) => left.once('close', resolve))
  await expect(text(left)).rejects.toMatchObject({ code: 'client_left' })
  await expect(left.fingerprint()).rejects.toMatchObject({ code: 'client_left' })
  server.close()
})
