import { createHash } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import type { ServerResponse } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import { DatabaseOrigin } from '@ipfleet/testing/database-origin.ts'
import { type DatabaseSource, downloadDatabase } from './database-download.ts'

/** Two hosts to each other. */
let origin: DatabaseOrigin
let other: DatabaseOrigin
let directory = ''

beforeAll(async () => {
  ;[origin, other] = await Promise.all([DatabaseOrigin.start(), DatabaseOrigin.start()])
})
afterAll(() => Promise.all([origin, other].map((one) => one[Symbol.asyncDispose]())))
beforeEach(() => {
  for (const one of [origin, other]) one.seen = []
  directory = mkdtempSync(join(tmpdir(), 'download-'))
})
afterEach(() => rmSync(directory, { recursive: true }))

const bytes = Buffer.from('a database')

/** @returns `whole`, or why not */
async function downloaded(source: Partial<DatabaseSource>): Promise<string> {
  const path = join(directory, 'part')
  const options = { source: { url: origin.url('/db'), maxBytes: 1000, ...source }, etag: undefined, path }
  try {
    await downloadDatabase({ ...options, signal: AbortSignal.timeout(60_000) })
    return readFileSync(path).equals(bytes) ? 'whole' : 'another'
  } catch (error) {
    return String(error)
  }
}

test.each([
  ['by its length', (response: ServerResponse) => response.end(Buffer.alloc(1001))],
  [
    'by what comes',
    (response: ServerResponse) => {
      response.write(Buffer.alloc(600))
      response.end(Buffer.alloc(600))
    },
  ],
])('more than may be is refused %s', async (_, answer) => {
  origin.answer = answer
  expect(await downloaded({})).toContain('the file has more than 1000 bytes (OFFLINE_DB_MAX_BYTES)')
})

describe('the token', () => {
  const bearer = 'Bearer secret-token'

  test.each([
    ['is a Bearer token', 'secret-token', bearer],
    ['with a colon is a user and a password', '42:licence', `Basic ${Buffer.from('42:licence').toString('base64')}`],
  ])('%s', async (_, token, authorization) => {
    origin.serve(bytes)
    await downloaded({ token })
    expect(origin.seen).toEqual([{ path: '/db', authorization }])
  })

  test('stays with its host: where that redirects to, it is not sent', async () => {
    const stops = [origin.url('/second'), other.url('/third'), other.url('/db')]
    origin.answer = other.answer = (response, request) => {
      const next = stops[['/first', '/second', '/third'].indexOf(request.url ?? '')]
      if (next === undefined) response.end(bytes)
      else response.writeHead(302, { location: next }).end()
    }
    expect(await downloaded({ url: origin.url('/first'), token: 'secret-token' })).toBe('whole')
    expect([...origin.seen, ...other.seen].map((one) => one.authorization)).toEqual([
      bearer,
      bearer,
      undefined,
      undefined,
    ])
  })

  test.each([
    ['/again', 'redirects after 3 redirects'],
    ['http://192.0.2.1/', 'redirects to http://192.0.2.1, which is not https'],
    ['file:///etc/passwd', 'redirects to file://, which is not https'],
    ['http://[', 'redirects to what is no URL'],
  ])('and no redirect to %s is followed for ever or anywhere', async (location, reason) => {
    origin.answer = (response) => response.writeHead(301, { location }).end()
    expect(await downloaded({ token: 'secret-token' })).toContain(reason)
  })
})

describe('the checksum', () => {
  const sum = createHash('sha256').update(bytes).digest('hex')
  const wrong = 'f'.repeat(64)

  test.each([
    ['of sha256sum', `${sum}  db\n`, 'whole'],
    ['of several files', `${wrong}  other.mmdb\n${sum.toUpperCase()}  db\n`, 'whole'],
    ['as JSON', JSON.stringify({ checksums: { md5: 'f'.repeat(32), sha256: sum } }), 'whole'],
    ['of another file', `${wrong}  db\n`, 'the file differs from its checksum'],
    ['of none', 'not found', 'OFFLINE_DB_CHECKSUM_URL answers without a SHA-256 of the file'],
    ['without end', 'x'.repeat(100_000), 'OFFLINE_DB_CHECKSUM_URL answers too much'],
  ])('%s is compared', async (_, text, expected) => {
    origin.answer = other.answer = (response, request) => void response.end(request.url === '/db' ? bytes : text)
    expect(await downloaded({ checksumUrl: other.url('/sum'), token: 'secret-token' })).toContain(expected)
    expect([...origin.seen, ...other.seen].map((one) => one.authorization)).toEqual(['Bearer secret-token', undefined])
  })

  test.each([
    [bytes, 'whole'],
    [Buffer.from('another'), 'the file differs from the digest that came with it'],
  ])('in the answer (RFC 9530) is compared', async (body, expected) => {
    const digest = createHash('sha256').update(bytes).digest('base64')
    origin.answer = (response) => response.setHeader('repr-digest', `sha-512=:AAAA:, sha-256=:${digest}:`).end(body)
    expect(await downloaded({})).toContain(expected)
  })
})
