import { expect, test } from '@jest/globals'
import { backend } from '../../test/upstream-group-fixture.ts'
import { canonicalAddress } from './endpoints.ts'
import { namesOf, endpointsOf } from './endpoints.ts'

const addressesOf = (): string[] => ['192.0.2.1', '2001:db8::7']

test.each([
  { of: backend('10.0.0.3'), id: '10.0.0.3:8080', authority: '10.0.0.3:8080' },
  { of: backend('10.0.0.3', { port: 80 }), id: '10.0.0.3:80', authority: '10.0.0.3' },
  { of: backend('fd00:0::3'), id: '[fd00::3]:8080', authority: '[fd00:0::3]:8080' },
  { of: backend('::ffff:10.0.0.3'), id: '10.0.0.3:8080', authority: '[::ffff:10.0.0.3]:8080' },
  { of: backend('api.test'), id: '192.0.2.1:8080', authority: 'api.test:8080' },
  { of: backend('api.test', { port: 443 }), id: '192.0.2.1:443', authority: 'api.test:443' },
  { of: backend('api.test', { protocol: 'https:', port: 443 }), id: '192.0.2.1:443', authority: 'api.test' },
])('$authority is at $id', ({ of, id, authority }) => {
  expect(endpointsOf([of], addressesOf)[0]).toMatchObject({ id, authority })
})

test('a certificate must be for the name, whatever the address', () => {
  const endpoints = endpointsOf([backend('api.test', { protocol: 'https:' })], addressesOf)
  expect(endpoints.map(({ target }) => target)).toEqual([
    { address: '192.0.2.1', port: 8080, tls: { servername: 'api.test' } },
    { address: '2001:db8::7', port: 8080, tls: { servername: 'api.test' } },
  ])
})

test('two backends at one address and port are one backend', () => {
  const endpoints = endpointsOf([backend('192.0.2.1', { weight: 5 }), backend('api.test')], addressesOf)
  expect(endpoints.map(({ id, weight }) => [id, weight])).toEqual([
    ['192.0.2.1:8080', 5],
    ['[2001:db8::7]:8080', 1],
  ])
})

test('only names are looked up', () => {
  expect(namesOf(['10.0.0.1', 'replicas', '::1', 'localhost'].map((host) => backend(host)))).toEqual([
    'replicas',
    'localhost',
  ])
})

test.each([
  ['192.0.2.1', '192.0.2.1'],
  ['2001:DB8:0:0:1:0:0:1', '2001:db8::1:0:0:1'],
  ['::ffff:192.0.2.1', '192.0.2.1'],
  ['::FFFF:c000:0201', '192.0.2.1'],
  ['fe80::1%eth0', 'fe80::1%eth0'],
  ['0177.0.0.1', undefined],
  ['localhost', undefined],
  ['', undefined],
])('the address %s is %s', (text, canonical) => {
  expect(canonicalAddress(text)).toBe(canonical)
})
