import { expect, test } from '@jest/globals'
import { readParent, secretsInItem } from './parent-proxy.ts'

const plain = { credentials: undefined, dns: 'local' }

test.each([
  ['http://proxy.test', { ...plain, protocol: 'http', host: 'proxy.test', port: 80, label: 'proxy.test:80' }],
  ['HTTP://Proxy.Test:3128/', { ...plain, protocol: 'http', host: 'proxy.test', port: 3128, label: 'proxy.test:3128' }],
  ['socks5://[2001:DB8::1]#de-1', { ...plain, protocol: 'socks5', host: '2001:db8::1', port: 1080, label: 'de-1' }],
  ['socks5h://a.test:1', { ...plain, protocol: 'socks5', host: 'a.test', port: 1, dns: 'remote', label: 'a.test:1' }],
  ['http://a.test:1?dns=remote#x', { ...plain, protocol: 'http', host: 'a.test', port: 1, dns: 'remote', label: 'x' }],
  [
    'http://us%2Cer:p%40s%3As@192.0.2.1:8080/#a',
    {
      ...plain,
      protocol: 'http',
      host: '192.0.2.1',
      port: 8080,
      label: 'a',
      credentials: { user: 'us,er', password: 'p@s:s' },
    },
  ],
])('%s is read', (item, parent) => {
  expect(readParent(item)).toEqual({ kind: 'parent', parent })
})

test.each([
  ['https://canary@a.test', /neither http:\/\/ nor socks5:\/\//],
  ['socks4://u:canary@a.test', /neither http/],
  ['http://u:canary@', /no URL/],
  ['socks5://u:canary@', /no URL|names no host/],
  ['http://u:canary@a.test/path', /has a path/],
  ['http://u:canary@a.test:0', /port 0/],
  ['http://u:canary@a.test/?dns=both', /dns=remote/],
  ['http://u:canary@a.test/?canary=1', /dns=remote/],
  ['http://u:canary%zz@a.test/', /percent-encoded/],
  ['http://u:canary%0a@a.test/', /percent-encoded/],
  ['http://u:canary@a.test/#with space', /label/],
  [`socks5://u:${'canary'.repeat(50)}@a.test`, /more than 255 bytes/],
])('%s is a fault that shows no secret', (item, expected) => {
  const read = readParent(item)
  expect(read).toEqual({ kind: 'fault', fault: expect.stringMatching(expected) })
  expect(JSON.stringify(read)).not.toContain('canary')
})

test.each([
  ['192.0.2.1', []],
  ['2001:db8::/64', []],
  ['http://a.test', []],
  ['http://u:p%40ss@a.test', ['p%40ss', 'p@ss']],
])('the secrets of %s', (item, secrets) => {
  expect(secretsInItem(item)).toEqual(secrets)
})
