import { createServer } from 'node:http'
import { once } from 'node:events'
import type { AddressInfo, Socket } from 'node:net'
import { until } from '@ipfleet/testing/until.ts'
import { Wire } from '@ipfleet/testing/wire.ts'
import { expect, test } from '@jest/globals'
import { hardenServer, httpServerOptions } from '../src/harden-server.ts'
import { restoreRequestLine } from '../src/odd-request-lines.ts'

const rest = ' /x HTTP/1.1\r\nHost: a\r\n\r\n'
const upload = 'POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nA'

/** The methods of the requests that a server takes of these reads of one connection, and the statuses of its answers. */
async function taken(reads: readonly string[]): Promise<{ methods: unknown[]; statuses: unknown[] }> {
  const methods: unknown[] = []
  const server = createServer(httpServerOptions(), (req, res) => {
    restoreRequestLine(req)
    methods.push(req.method)
    res.end()
  })
  hardenServer(server, { takesOddRequestLines: true })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const connections = once(server, 'connection') as Promise<[Socket]>
  const client = await Wire.to((server.address() as AddressInfo).port)
  try {
    const [connection] = await connections
    let length = 0
    for (const bytes of [...reads, `GET${rest.replace('\r\n\r\n', '\r\nConnection: close\r\n\r\n')}`]) {
      client.write(bytes)
      length += bytes.length
      await until(() => connection.bytesRead === length || connection.destroyed)
    }
    await client.ended
  } finally {
    client.destroy()
    server.close()
  }
  return { methods, statuses: Array.from(client.text.matchAll(/^HTTP\/1.1 (\d+)/gm), ([, status]) => status) }
}

test('a method that the parser does not know is read, once in a read', async () => {
  const reads = [`BREW${rest}`, `GET${rest}LABEL${rest}`, `${upload}\n`, `\r\nX-9${rest}`]
  expect(await taken(reads)).toEqual({
    methods: ['BREW', 'GET', 'LABEL', 'POST', 'X-9', 'GET'],
    statuses: ['200', '200', '200', '200', '200', '200'],
  })
})

test.each([
  ['that began in the read before', ['BI', `TS_POST${rest}`], []],
  ['that follows a body without a line end', [`${upload}BREW${rest}`], ['POST']],
  ['of small letters', [`brew${rest}`], []],
  ['of RTSP', [`PLAY${rest}`], []],
])('no other method is read for one %s', async (_what, reads, methods) => {
  expect(await taken(reads)).toEqual({ methods, statuses: [...methods.map(() => '200'), '400'] })
})
