import { expect, test } from '@jest/globals'
import type { IncomingHttpHeaders } from 'node:http'
import type { Reply } from '../reply.ts'
import type { UpstreamRequest } from '../upstream-request.ts'
import { ipinfo } from './ipinfo.ts'

const provider = ipinfo({ legacy: 'https://ipinfo.test', api: 'https://api.ipinfo.test' })

const requests: Readonly<Record<string, Partial<UpstreamRequest>>> = {
  'core look-up': { path: '/8.8.8.8' },
  lite: { surface: 'api', path: '/lite/8.8.8.8' },
  lookup: { surface: 'api', path: '/lookup/8.8.8.8' },
  'module privacy': { path: '/8.8.8.8/privacy' },
  asn: { path: '/AS15169' },
  'tool map': { method: 'POST', path: '/tools/map', expected: 'any' },
  download: { path: '/data/free/standard.mmdb', expected: 'any' },
  'batch of core': { method: 'POST', path: '/batch', expected: 'object', batchOf: 'core' },
  'batch of privacy': { method: 'POST', path: '/batch', expected: 'object', batchOf: 'privacy' },
  other: { path: '/whatever', expected: 'any' },
}

interface Said {
  readonly status: number
  readonly body: unknown
  readonly type?: string
  readonly headers?: IncomingHttpHeaders
}

const page = { type: 'text/html', body: '<!doctype html><h1>Attention required' }
const unknownToken = { status: 403, error: { title: 'Unknown token', message: 'Please check your token' } }
const limit = { status: 429, error: { title: 'Rate limit exceeded', message: "You've hit the daily limit" } }

const replies: Readonly<Record<string, Said>> = {
  '200 {}': { status: 200, body: {} },
  '200, 429 inside': { status: 200, body: limit },
  '302': { status: 302, body: '', headers: { location: 'https://signed.test/x?token=t&sig=1' } },
  '400 wrong module': { status: 400, body: { title: 'Wrong module or field type' } },
  '401 {}': { status: 401, body: {} },
  '402': { status: 402, body: { error: { title: 'Payment required' } } },
  '403 unknown token': { status: 403, body: unknownToken },
  '403 permission': { status: 403, body: { title: 'Your token does not have access to this API' } },
  '403 page': { status: 403, ...page },
  '404 wrong ip': { status: 404, body: { status: 404, error: { title: 'Wrong ip' } } },
  '404 page': { status: 404, ...page },
  '408': { status: 408, body: '' },
  '421': { status: 421, body: '' },
  '422': { status: 422, body: { error: 'No IPs Found' } },
  '425': { status: 425, body: '' },
  '429': { status: 429, body: limit },
  '429, Retry-After 7': { status: 429, body: limit, headers: { 'retry-after': '7' } },
  '429 your plan': { status: 429, body: { error: "You've hit the monthly limit of your plan" } },
  '500': { status: 500, body: 'oops', type: 'text/plain' },
  501: { status: 501, body: { error: 'not implemented' } },
  '501 page': { status: 501, ...page },
  '503 page': { status: 503, ...page },
}

/** Which action was taken for each product and status, as a reviewer can check it against IPinfo's description. */
test('product × status → action', () => {
  const columns = Object.keys(requests)
  const rows = Object.entries(replies).map(([name, said]) => [name, ...columns.map((column) => action(column, said))])
  const table = [['', ...columns], ...rows]
  const widths = columns.map((_, at) => Math.max(...table.map((row) => row[at]?.length ?? 0)))
  const lines = table.map((row) =>
    row
      .map((cell, at) => cell.padEnd(widths[at] ?? 0))
      .join(' | ')
      .trimEnd(),
  )
  expect(`\n${lines.join('\n')}\n`).toMatchSnapshot()
})

function action(column: string, { status, body, type = 'application/json', headers = {} }: Said): string {
  const request: UpstreamRequest = {
    method: 'GET',
    surface: 'legacy',
    path: '/',
    expected: 'json',
    ...requests[column],
  }
  const bytes = Buffer.from(typeof body === 'string' ? body : JSON.stringify(body))
  return inWords(provider.read({ status, contentType: type, body: bytes }, headers, request))
}

function inWords(reply: Reply): string {
  switch (reply.kind) {
    case 'answered':
      return `answer ${reply.answer.status}`
    case 'limited':
      return `${reply.reason === 'exhausted' ? 'exhaust' : 'rest'} ${reply.scope}${reply.retryAfterSeconds === undefined ? '' : ` ${reply.retryAfterSeconds} s`}`
    case 'denied':
      return reply.scope === 'unclear' ? 'settle by /me' : `deny ${reply.scope}`
    case 'failed':
      return reply.again === undefined ? 'fail' : `fail, again: ${reply.again}`
  }
}
