import { createServer, type ServerResponse } from 'node:http'
import { once } from 'node:events'
import type { AddressInfo, Socket } from 'node:net'
import { until } from '@ipfleet/testing/until.ts'
import { Wire } from '@ipfleet/testing/wire.ts'
import { describe, expect, test } from '@jest/globals'
import { hardenServer, httpServerOptions } from '../src/harden-server.ts'
import { inTurn } from '../src/in-turn.ts'

const rest = ' /x HTTP/1.1\r\nHost: a\r\n\r\n'
const last = 'GET /last HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n'
const upload = (body: string): string => `POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: ${body.length}\r\n\r\n${body}`
const chunked = (body: string): string =>
  `PUT /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n${body}\r\n0\r\n\r\n`

interface Taken {
  /** Of the requests that were served, in order. */
  readonly lines: string[]
  readonly statuses: (string | undefined)[]
}

/**
 * What a server takes of these reads of one connection, and of one more that ends it. Each comes when the one before has been
 * read; with `isSlow` all before any is answered.
 */
async function taken(reads: readonly string[], isSlow: boolean): Promise<Taken> {
  const lines: string[] = []
  const open: ServerResponse[] = []
  let holds = isSlow
  const serve = inTurn((req, res) => {
    lines.push(`${req.method} ${req.url}`)
    req.resume()
    if (holds) open.push(res)
    else res.end()
  })
  const server = createServer(httpServerOptions(), serve)
  hardenServer(server, { takesOddRequestLines: true })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const connections = once(server, 'connection') as Promise<[Socket]>
  const client = await Wire.to((server.address() as AddressInfo).port)
  try {
    const [connection] = await connections
    let length = 0
    for (const bytes of [...reads, last]) {
      client.write(Buffer.from(bytes, 'latin1'))
      length += bytes.length
      await until(() => connection.bytesRead === length || connection.destroyed)
      // An answer that is out before the next request.
      if (!isSlow)
        await until(() => lines.length === (client.text.match(/^HTTP/gm) ?? []).length || connection.writableEnded)
    }
    holds = false
    for (const res of open) res.end()
    await client.ended
  } finally {
    client.destroy()
    server.close()
  }
  const answers = Array.from(client.text.matchAll(/^HTTP\/1.1 (\d+)/gm))
  return { lines, statuses: answers.map(([, status]) => status) }
}

describe.each([
  ['each is answered before the next one comes', false],
  ['all come before the first one is answered', true],
])('where %s', (_how, isSlow) => {
  test.each<[string, readonly string[], readonly string[]]>([
    ['unknown methods, one in a read', [`BREW${rest}`, `\r\nX-9${rest}`], ['BREW /x', 'X-9 /x']],
    ['one behind a request without a body', [`DELETE${rest}LABEL${rest}`], ['DELETE /x', 'LABEL /x']],
    [
      'the same target by a known method before and behind',
      [`POST${rest}`, `FOO${rest}`, `FOO${rest}`, `POST${rest}`],
      ['POST /x', 'FOO /x', 'FOO /x', 'POST /x'],
    ],
    [
      'escapes and bytes',
      [
        'GET /%E9 HTTP/1.1\r\nHost: a\r\n\r\n',
        'GET /\xe9 HTTP/1.1\r\nHost: a\r\n\r\n',
        'PUT /\xe9 HTTP/1.1\r\nHost: a\r\n\r\n',
      ],
      ['GET /%E9', 'GET /\xe9', 'PUT /\xe9'],
    ],
    [
      'one in the read behind a body',
      [upload('P'), `UFOO${rest}`, chunked('P'), `UFOO${rest}`],
      ['POST /x', 'UFOO /x', 'PUT /x', 'UFOO /x'],
    ],
    ['a head in two reads, its line in the first', ['BREW /x HTTP/1.1\r\n', 'Host: a\r\n\r\n'], ['BREW /x']],
  ])('as they are: %s', async (_what, reads, lines) => {
    const statuses = [...lines, 'last'].map(() => '200')
    expect(await taken(reads, isSlow)).toEqual({ lines: [...lines, 'GET /last'], statuses })
  })

  test.each<[string, readonly string[], readonly string[]]>([
    ['a method that began in the read before', ['BI', `TS_POST${rest}`], []],
    ['the end of a known one, with a raw target', ['PROP', 'PATCH /\xe9 HTTP/1.1\r\nHost: a\r\n\r\n'], []],
    ['a method behind a body', [`${upload('P')}UFOO${rest}`], ['POST /x']],
    ['a raw target behind a body', [`${upload('PROP')}PATCH /\xe9 HTTP/1.1\r\nHost: a\r\n\r\n`], ['POST /x']],
    ['a method behind chunks', [`${chunked('P')}FOO${rest}`], ['PUT /x']],
    ['a second one in a read', [`FOO${rest}FOO${rest}`], ['FOO /x']],
    ['small letters', [`brew${rest}`], []],
    ['a method of RTSP', [`PLAY${rest}`], []],
    ['CONNECT to bytes', ['CONNECT \xe9:443 HTTP/1.1\r\nHost: a\r\n\r\n'], []],
  ])('refused: %s', async (_what, reads, lines) => {
    expect(await taken(reads, isSlow)).toEqual({ lines, statuses: [...lines.map(() => '200'), '400'] })
  })
})
