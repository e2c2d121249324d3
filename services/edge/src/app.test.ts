import { IncomingMessage } from 'node:http'
import { Socket } from 'node:net'
import { expect, test } from '@jest/globals'
import { toOriginForm } from './app.ts'

function readAs(url: string, version: '1.1' | '2.0', rawHeaders: string[]): readonly unknown[] {
  const httpVersionMajor = version === '2.0' ? 2 : 1
  const req = Object.assign(new IncomingMessage(new Socket()), {
    url,
    httpVersion: version,
    httpVersionMajor,
    rawHeaders,
  })
  toOriginForm(req)
  return [req.url, ...req.rawHeaders]
}

test('an authority replaces Host, however that is spelled, and no other field', () => {
  expect(readAs('http://b/x', '1.1', ['X-A', 'host', 'hOST', 'a'])).toEqual(['/x', 'X-A', 'host', 'hOST', 'b'])
})

test('HTTP/2 has no absolute form', () => {
  const given = ['https://b/x', ':authority', 'a'] as const
  expect(readAs(given[0], '2.0', given.slice(1))).toEqual(given)
})
