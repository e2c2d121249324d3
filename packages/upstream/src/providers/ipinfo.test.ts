import { expect, test } from '@jest/globals'
import { describeProvider } from '../../test/provider-contract.ts'
import { ipinfo } from './ipinfo.ts'

const record = { ip: '8.8.8.8', hostname: 'dns.google', country: 'US' }
const unknownToken = { status: 403, error: { title: 'Unknown token', message: '…' } }
const denied = (status: number, scope: string): object => ({
  kind: 'denied',
  scope,
  answer: expect.objectContaining({ status }),
})

describeProvider('IPinfo', {
  provider: ipinfo({ legacy: 'https://ipinfo.test', api: 'https://api.ipinfo.test/v0' }),
  credentials: { authorization: 'Bearer k3y' },
  questions: [
    ['/8.8.8.8', 'https://ipinfo.test/8.8.8.8'],
    ['/AS15169?x=1', 'https://ipinfo.test/AS15169?x=1'],
    ['/me', 'https://ipinfo.test/me'],
    ['POST /batch', 'https://ipinfo.test/batch'],
    ['api /lite/8.8.8.8', 'https://api.ipinfo.test/v0/lite/8.8.8.8'],
  ],
  replies: [
    [
      'a record is passed on',
      '/8.8.8.8',
      { status: 200, body: record },
      { kind: 'answered', status: 200, body: record },
    ],
    [
      'that there is none, too',
      '/AS1',
      { status: 404, body: { error: 'ASN Not Found!' } },
      { kind: 'answered', status: 404, body: { error: 'ASN Not Found!' } },
    ],
    ['403 Unknown token', '/8.8.8.8', { status: 403, body: unknownToken }, denied(403, 'unclear')],
    [
      '401 {}: the token lacks a permission, perhaps',
      '/8.8.8.8/privacy',
      { status: 401, body: {} },
      denied(401, 'unclear'),
    ],
    ['401 Invalid API token', '/me', { status: 401, body: { error: 'Invalid API token' } }, denied(401, 'key')],
    ['403 no access', '/8.8.8.8', { status: 403, body: { message: 'does not have access' } }, denied(403, 'product')],
    ['403 blocked', '/6.6.6.6', { status: 403, body: { message: 'This address is blocked' } }, denied(403, 'query')],
  ],
})

test.each([
  ['/8.8.8.8', 1],
  ['/AS15169', 1],
  ['/lite/8.8.8.8', 0],
  ['/batch/lite', 0],
  ['/me', 0],
  ['/me/more', 1],
  ['/tools/map', 0],
] as const)('%s costs %i of the quota', (path, units) => {
  const provider = ipinfo({ legacy: '', api: '' })
  expect(provider.unitsOf({ method: 'GET', surface: surfaceOf(path), path, expected: 'json' })).toBe(units)
})

const surfaceOf = (path: string): 'api' | 'legacy' => (path.includes('lite') ? 'api' : 'legacy')
