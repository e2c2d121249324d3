import { once } from 'node:events'
import { createServer, get, type OutgoingHttpHeaders } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { isDirectLoopback } from './request-origin.ts'

/** Who is let in without a token: a peer on loopback, who calls it by a name of loopback, without a field of a proxy. */
const server = createServer((req, res) => void res.end(String(isDirectLoopback(req))))
beforeAll(async () => {
  server.listen(0, '::')
  await once(server, 'listening')
})
afterAll(() => void server.close())

async function isLetIn(headers: OutgoingHttpHeaders, address = '127.0.0.1'): Promise<boolean> {
  const { port } = server.address() as AddressInfo
  const req = get({ host: address, port, headers: { host: `localhost:${port}`, ...headers }, agent: false })
  const [res] = await once(req, 'response')
  return (await text(res)) === 'true'
}

test.each(['127.0.0.1', '127.1.2.3', '::1'])('from %s of this machine', async (address) => {
  expect(await isLetIn({}, address)).toBe(true)
})

test.each(['localhost', 'localhost:8080', 'LOCALHOST:8080', '127.0.0.1', '127.0.0.1:8080', '[::1]', '[::1]:8080'])(
  'by the name %s',
  async (host) => {
    expect(await isLetIn({ host })).toBe(true)
  },
)

test.each([
  'evil.example',
  'localhost.evil.example',
  'evil.localhost',
  'localhost.',
  'localhost:8080:1',
  'localhost@evil.example',
  'localhost:port',
  '127.0.0.1.evil.example',
  '127.0.0.2',
  '127.1',
  '2130706433',
  '0x7f000001',
  '0.0.0.0',
  '::1',
  '[::]',
  '[::ffff:127.0.0.1]',
])('not by the name %j, to which a page may have been rebound', async (host) => {
  expect(await isLetIn({ host })).toBe(false)
})

test.each([
  'Forwarded',
  'Via',
  'X-Real-IP',
  'X-Forwarded-For',
  'X-Forwarded-Host',
  'X-Forwarded-Proto',
  'X-Forwarded-Port',
  'X-Forwarded-Server',
  'X-Forwarded-Prefix',
  'x-forwarded-anything',
])('not with %s, whatever it says', async (name) => {
  for (const value of ['127.0.0.1', '']) expect(await isLetIn({ [name]: value })).toBe(false)
})
