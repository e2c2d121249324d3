import { expect, test } from '@jest/globals'
import { describeProvider } from '../../test/provider-contract.ts'
import { ipinfo } from './ipinfo.ts'

const record = { ip: '8.8.8.8', hostname: 'dns.google', country: 'US' }
const unknownToken = { status: 403, error: { title: 'Unknown token', message: '…' } }
const denied = (status: number, unknown: boolean): object => ({
  kind: 'denied',
  unknownToken: unknown,
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
    ['403 Unknown token', '/8.8.8.8', { status: 403, body: unknownToken }, denied(403, true)],
    ['401 {}: the token lacks a permission', '/8.8.8.8/privacy', { status: 401, body: {} }, denied(401, false)],
    ['401 Invalid API token', '/me', { status: 401, body: { error: 'Invalid API token' } }, denied(401, true)],
    ['403 invalid key', '/8.8.8.8', { status: 403, body: { message: 'Invalid API key' } }, denied(403, true)],
    ['403 with a page', '/8.8.8.8', { status: 403, body: '<h1>', contentType: 'text/html' }, denied(403, false)],
    [
      '403 that names it too late to be read',
      '/8.8.8.8',
      { status: 403, body: `${' '.repeat(1000)}unknown token` },
      denied(403, false),
    ],
  ],
})

test.each([
  ['/8.8.8.8', 1],
  ['/AS15169', 1],
  ['/lite/8.8.8.8', 0],
  ['/batch/lite', 0],
  ['/me', 0],
  ['/me/more', 1],
] as const)('%s costs %i of the quota', (path, units) => {
  const provider = ipinfo({ legacy: '', api: '' })
  expect(provider.unitsOf({ method: 'GET', surface: 'legacy', path, expected: 'json' })).toBe(units)
})
