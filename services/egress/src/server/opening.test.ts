import { Socket } from 'node:net'
import { expect, test } from '@jest/globals'
import { headEnd, Opening, readConnectHead } from './opening.ts'

const read = (text: string) => readConnectHead(Buffer.from(text, 'latin1'))
const to = { url: 'a.test:443', httpVersion: '1.1' }

test.each<[string, string[]]>([
  ['\r\n', []],
  ['\n', []],
  ['Host: a.test:443\r\nX:y\r\n\r\n', ['Host', 'a.test:443', 'X', 'y']],
  ['Host: a.test:443\nX:  y z \t\n\n', ['Host', 'a.test:443', 'X', 'y z']],
  ['X:\r\nY: é\xa0\r\n\n', ['X', '', 'Y', 'é\xa0']],
])('the fields %j are read', (rest, rawHeaders) => {
  const lineEnd = rest.includes('\r') ? '\r\n' : '\n'
  const text = `CONNECT a.test:443 HTTP/1.1${lineEnd}${rest}`
  expect(read(text)).toEqual({ ...to, rawHeaders })
  expect(headEnd(Buffer.from(`${text}behind`, 'latin1'))).toBe(text.length)
})

test.each([
  'CONNECT a:1 HTTP/2.0\r\n\r\n',
  'CONNECT  a:1 HTTP/1.1\r\n\r\n',
  'CONNECT a:1 HTTP/1.1 \r\n\r\n',
  'CONNECT a:1 HTTP/1.1\r\n folded: x\r\n\r\n',
  'CONNECT a:1 HTTP/1.1\r\nX: y\r\n z\r\n\r\n',
  'CONNECT a:1 HTTP/1.1\r\nX : y\r\n\r\n',
  'CONNECT a:1 HTTP/1.1\r\nX\r\n\r\n',
  'CONNECT a:1 HTTP/1.1\r\nX: y\rZ: z\r\n\r\n',
  'CONNECT a:1 HTTP/1.1\r\n\rX: y\r\n\r\n',
  'CONNECT a:1 HTTP/1.1\r\nX: \0\r\n\r\n',
  `CONNECT a:1 HTTP/1.1\r\n${'X: y\r\n'.repeat(101)}\r\n`,
])('%j is malformed', (text) => {
  expect(read(text)).toBeUndefined()
})

/** Where a head ends that comes byte by byte. */
async function endOf(head: string): Promise<number> {
  const socket = new Socket()
  const opening = new Opening(socket)
  const found = opening.until(headEnd, 65_536)
  for (const byte of Buffer.from(head, 'latin1')) socket.emit('data', Buffer.of(byte))
  opening.release()
  return found
}

test.each(['\r\n\r\n', '\n\n', '\r\n\n', '\n\r\n'])('the end %j is found byte by byte', async (end) => {
  const head = `CONNECT a.test:443 HTTP/1.1\r\nX: y${end}`
  expect(await endOf(head)).toBe(head.length)
})

test('a head that comes byte by byte is looked through once', async () => {
  const head = `CONNECT a.test:443 HTTP/1.1\n${'a\n'.repeat(8000)}\n`
  const before = process.threadCpuUsage()
  expect(await endOf(head)).toBe(head.length)
  expect(process.threadCpuUsage(before).user / 1000).toBeLessThan(700)
})
