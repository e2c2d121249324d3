import { expect, test } from '@jest/globals'
import { HeadReader } from './request-head.ts'

const read = (text: string, from = 0) => new HeadReader().read(text, from)
const lines = (...all: string[]): string => [...all, '', ''].join('\r\n')
const withFields = (...fields: string[]): string => lines('GET /8.8.8.8 HTTP/1.1', 'Host: a', ...fields)

test('a plain request is read with its fields and its end', () => {
  const first = lines('GET /8.8.8.8/json?token=a%20b HTTP/1.1', 'Host: [::1]:8080', 'ACCEPT:*/*', 'X-Empty:')
  const head = read(`${first}${withFields()}`)
  expect(head).toEqual({
    method: 'GET',
    url: '/8.8.8.8/json?token=a%20b',
    fields: {
      lines: 'Host: [::1]:8080\r\nACCEPT:*/*\r\nX-Empty:\r\n',
      rawHeaders: ['Host', '[::1]:8080', 'ACCEPT', '*/*', 'X-Empty', ''],
      headers: Object.assign(Object.create(null), { host: '[::1]:8080', accept: '*/*', 'x-empty': '' }),
    },
    end: first.length,
  })
  expect(read(`${first}${withFields('Connection: Keep-Alive')}`, first.length)?.url).toBe('/8.8.8.8')
})

test('fields that came before are those of this request too, and only those', () => {
  const heads = new HeadReader()
  const tokenOf = (text: string) => heads.read(text, 0)?.fields.headers.authorization
  const one = withFields('Authorization: Bearer one')
  expect([tokenOf(one), tokenOf(withFields('Authorization: Bearer two')), tokenOf(one)]).toEqual([
    'Bearer one',
    'Bearer two',
    'Bearer one',
  ])
})

test.each([
  ['half a request line', 'GET /8.8.8.8 HT'],
  ['a head without its end', withFields().slice(0, -2)],
  ['another method', withFields().replace('GET', 'HEAD')],
  ['a method in lower case', withFields().replace('GET', 'get')],
  ['an empty line before it', `\r\n${withFields()}`],
  ['HTTP/1.0', withFields().replace('1.1', '1.0')],
  ['no version', withFields().replace(' HTTP/1.1', '')],
  ['absolute-form', withFields().replace('/8.8.8.8', 'http://a/8.8.8.8')],
  ['a fragment', withFields().replace('8.8.8.8', '8.8.8.8#a')],
  ['a space in the target', withFields().replace('8.8.8.8', '8.8 8.8')],
  ['a byte over 0x7f in the target', withFields().replace('8.8.8.8', '\xe9')],
  ['two spaces behind the target', withFields().replace(' HTTP', '  HTTP')],
  ['a line end of LF alone', withFields().replaceAll('\r\n', '\n')],
  ['one LF alone', withFields('A: b').replace('b\r\n', 'b\n')],
  ['no Host', lines('GET / HTTP/1.1', 'A: b')],
  ['no field', lines('GET / HTTP/1.1')],
  ['two Hosts', withFields('host: a')],
  ['an empty Host', lines('GET / HTTP/1.1', 'Host:')],
  ['a Host that is none', lines('GET / HTTP/1.1', 'Host: a/b@c')],
  ['a field twice', withFields('X-Forwarded-For: 1.1.1.1', 'x-forwarded-for: 2.2.2.2')],
  ['a space before the colon', withFields('A : b')],
  ['a folded line', withFields('A: b', ' c')],
  ['a tab', withFields('A: b\tc')],
  ['two spaces before a value', withFields('A:  b')],
  ['a space behind a value', withFields('A: b ')],
  ['a NUL', withFields('A: b\0c')],
  ['a CR', withFields('A: b\rc')],
  ['a byte over 0x7f in a value', withFields('A: \xe9')],
  ['a name that is none', withFields('A(b): c')],
  ['a line without a colon', withFields('A')],
  ['Connection: close', withFields('Connection: close')],
  ['Connection: keep-alive and another option', withFields('Connection: keep-alive, A')],
  ['an empty Connection', withFields('Connection:')],
  ['Proxy-Connection', withFields('Proxy-Connection: close')],
  ['a length', withFields('Content-Length: 0')],
  ['a coding', withFields('Transfer-Encoding: chunked')],
  ['an expectation', withFields('Expect: 100-continue')],
  ['another protocol', withFields('Upgrade: h2c')],
  ['trailers', withFields('Trailer: A')],
  ['TE', withFields('TE: trailers')],
  ['too many fields', withFields(...Array.from({ length: 64 }, (_, index) => `A${index}: b`))],
  ['a head that is too long', withFields(`A: ${'b'.repeat(4096)}`)],
])('%s is for node:http', (_what, text) => {
  expect(read(text)).toBeUndefined()
})

test('HEAD and bytes over 0x7f in a target are read where they are wanted', () => {
  const heads = new HeadReader({ takesHead: true, takesRawTargets: true })
  expect(heads.read(withFields().replace('GET', 'HEAD'), 0)).toMatchObject({ method: 'HEAD', url: '/8.8.8.8' })
  expect(heads.read(withFields().replace('8.8.8.8', 'caf\xe9?q=\xfc'), 0)?.url).toBe('/caf\xe9?q=\xfc')
  expect(heads.read(withFields().replace('8.8.8.8', 'caf\xe9 x'), 0)).toBeUndefined()
})

test('heads beyond the limits of the server are for node:http, also when their fields are known', () => {
  let most = 2
  const heads = new HeadReader({ maxHeadLength: 100, maxFields: () => most })
  expect(heads.read(withFields('A: b'), 0)?.url).toBe('/8.8.8.8')
  expect(heads.read(withFields('A: b', 'C: d'), 0)).toBeUndefined()
  expect(heads.read(withFields(`A: ${'b'.repeat(100)}`), 0)).toBeUndefined()
  most = 1
  expect(heads.read(withFields('A: b'), 0)).toBeUndefined()
})

test('the fields of the request before are those of the next one only where the same ones are all there is', () => {
  const heads = new HeadReader()
  const last = heads.read(withFields('A: b'), 0)?.fields
  const next = (text: string) => heads.read(text, 0, last)
  expect(next(withFields('A: b'))?.fields).toBe(last)
  expect(next(`${withFields('A: b')}GET`)?.end).toBe(withFields('A: b').length)
  expect(next(withFields('A: b', 'C: d'))?.fields.headers).toMatchObject({ a: 'b', c: 'd' })
  expect(next(withFields())?.fields.headers).not.toHaveProperty('a')
  expect(next(withFields('A: b', 'Content-Length: 1'))).toBeUndefined()
  expect(next(lines('GET / HTTP/1.1'))).toBeUndefined()
  const named = heads.read(withFields('X-Request-Id: 1'), 0)?.fields
  expect(heads.read(lines('GET / HTTP/1.1'), 0, named)).toBeUndefined()
})
