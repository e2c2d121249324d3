import { describe, expect, test } from '@jest/globals'
import { ProxyError } from '@ipfleet/core/proxy-error.ts'
import { parseTarget, toolTarget, type Query } from './query.ts'

function queryOf(target: string): Query {
  const parsed = parseTarget(target)
  if (parsed.kind !== 'query') throw new Error(`${target} is ${parsed.kind}`)
  return parsed.query
}

function codeOf(target: string): string {
  try {
    parseTarget(target)
  } catch (error) {
    if (error instanceof ProxyError) return error.code
  }
  return 'none'
}

describe('a query has one form', () => {
  test.each([
    ['/8.8.8.8', '/8.8.8.8'],
    ['/8.8.8.8/', '/8.8.8.8'],
    ['//8.8.8.8', '/8.8.8.8'],
    ['/8.8.8.8/json', '/8.8.8.8'],
    ['/8.8.8.8?token=a&x=1', '/8.8.8.8'],
    ['/8.8.8.8?', '/8.8.8.8'],
    ['/%38.8.8.8', '/8.8.8.8'],
    ['/::ffff:8.8.8.8', '/8.8.8.8'],
    ['/2001:DB8::0001', '/2001:db8::1'],
    ['/8.8.8.8/city', '/8.8.8.8/city'],
    ['/8.8.8.8/city?token=a', '/8.8.8.8/city'],
    ['/8.8.8.8?fields=city', '/8.8.8.8?fields=city'],
    ['/8.8.8.8?fields=city&fields=org', '/8.8.8.8?fields=city'],
    ['/as15169', '/AS15169'],
    ['/AS015169/json', '/AS15169'],
    ['/domains/8.8.8.8?page=2&limit=5&x=1', '/domains/8.8.8.8?limit=5&page=2'],
    ['/lite//8.8.8.8', '/lite/8.8.8.8'],
    ['/ranges/google.com?token=a', '/ranges/google.com'],
    ['//ranges//google.com', '/ranges/google.com'],
    ['/::8.8.8.8', '/::808:808'],
    ['/::808:808', '/::808:808'],
    ['/8.8.8.8/resproxy', '/resproxy/8.8.8.8'],
    ['/resproxy/8.8.8.8', '/resproxy/8.8.8.8'],
    [
      '/whois/net/2001:db8::/json?whoissource=arin&token=a&page=2&x=1',
      '/whois/net/2001:db8::/json?page=2&whoissource=arin',
    ],
    ['/whois/net/8.8.8.8?page=1&page=2', '/whois/net/8.8.8.8?page=1'],
    ['/places/8.8.8.8?x=1', '/places/8.8.8.8'],
    ['/countries/US?x=1&token=a', '/countries/US'],
    ['/constructor?page=1', '/constructor'],
  ])('%s is %s', (target, canonical) => {
    expect(queryOf(target).target).toBe(canonical)
  })

  test('the products are asked on the host of their own', () => {
    for (const path of ['/lite/8.8.8.8', '/places/8.8.8.8', '/8.8.8.8/resproxy', '/resproxy/8.8.8.8']) {
      expect([path, queryOf(path).surface]).toEqual([path, 'api'])
    }
    expect(queryOf('/8.8.8.8').surface).toBe('legacy')
  })

  test('a text field is a part of the record', () => {
    expect(queryOf('/8.8.8.8/city').within?.record).toEqual(queryOf('/8.8.8.8'))
    expect(queryOf('/8.8.8.8/privacy').within).toBeUndefined()
  })
})

test.each(['/', '/json', '/geo', '/city', '/privacy', '/?token=a', '/lite/me'])('%s is about the client', (target) => {
  const parsed = parseTarget(target)
  expect(parsed.kind === 'own' && parsed.about('9.9.9.9').address).toBe('9.9.9.9')
})

test.each([
  ['/me?token=a', '/me'],
  ['//me/', '/me'],
  ['/%6de', '/me'],
  ['/ME', '/ME'],
  ['/Me/json', '/Me/json'],
  ['/me;a', '/me%3Ba'],
  ['/me%20', '/me%20'],
  ['/me/requests', '/me/requests'],
  ['/data/free/country.mmdb?token=a&x=1', '/data/free/country.mmdb'],
  ['/data/free/country.mmdb/checksums', '/data/free/country.mmdb/checksums'],
])('%s is asked each time, as %s', (target, path) => {
  expect(parseTarget(target)).toMatchObject({ kind: 'direct', path })
})

test.each(['/account', '/mee', '/user/me', '/countries/US'])('what %s finds is for one client', (target) => {
  expect(queryOf(target).isPrivate).toBe(true)
})

test.each(['/8.8.8.8', '/ranges/a.com', '/whois/net/8.8.8.8', '/AS15169', '/8.8.8.8/nonsense'])(
  'what %s finds is for all',
  (target) => {
    expect(queryOf(target).isPrivate).toBeUndefined()
  },
)

test.each([
  ['/tools/map', '/tools/map'],
  ['/tools/map?cli=1&token=a&x=1', '/tools/map?cli=1'],
  ['/map&cli=1', '/map?cli=1'],
  ['/summarize?cli=0&cli=1', '/summarize?cli=0'],
  ['/tools//map/', '/tools/map'],
])('a POST to %s goes to %s', (target, path) => {
  expect(toolTarget(target)).toBe(path)
})

test.each([
  '/tools/../me',
  '/tools/./map',
  '/tools/%2e%2e/me',
  '/tools/.%2E/me',
  '/tools/..;/me',
  '/tools/..;a=b/me',
  '/tools/..\\me',
  '/tools/..%5cme',
  '/tools/..%2fme',
  '/tools/%252e%252e/me',
  '/map/../me',
  '/tools/%00',
  '/tools/%ZZ',
])('a POST to %s is refused, as a GET is', (target) => {
  expect(() => toolTarget(target)).toThrow(expect.objectContaining({ code: 'bad_request' }))
  expect(codeOf(target)).toBe('bad_request')
})

test.each([
  ['/%00', 'bad_request'],
  ['/%ZZ', 'bad_request'],
  ['/a%2fb', 'bad_request'],
  ['/a%5Cb', 'bad_request'],
  ['/%2e%2e', 'bad_request'],
  ['/8.8.8.8/%0a', 'bad_request'],
  ['/127.1', 'wrong_ip'],
  ['/2130706433', 'wrong_ip'],
  ['/0x7f000001', 'wrong_ip'],
  ['/8.8.8.8/24', 'wrong_ip'],
  ['/fe80::1%eth0', 'wrong_ip'],
  ['/fe80::1%25eth0', 'wrong_ip'],
  ['/domains/nonsense', 'wrong_ip'],
  ['/lite/nonsense', 'wrong_product_ip'],
])('%s is refused as %s', (target, code) => {
  expect(codeOf(target)).toBe(code)
})
