import { expect } from '@jest/globals'
import { describeProvider } from '../../test/provider-contract.ts'
import { ipasis } from './ipasis.ts'

/** As in IPASIS's published examples (github.com/ipasis). */
const heardRecord = {
  ip: '136.179.39.31',
  city: 'Irvine',
  region: 'California',
  country: 'US',
  loc: '33.7074,-117.7054',
  postal: '',
  timezone: 'America/Los_Angeles',
  asn: { ASN: 'AS23005', Name: 'SWITCH-LTD', Domain: '', Route: '', Type: '' },
  company: { Name: 'SWITCH-LTD', Domain: '', Type: '' },
  privacy: { VPN: true, Proxy: false, Tor: false, Relay: false, Hosting: false, AI: false, Service: '' },
  abuse: { Address: '', Country: '', Email: '', Name: '', Network: '', Phone: '' },
  domains: { Page: 0, Total: 0, Domains: null },
}
const asn = { asn: 'AS23005', name: 'SWITCH-LTD', domain: '', route: '', type: '' }
const privacy = { vpn: true, proxy: false, tor: false, relay: false, hosting: false, ai: false, service: '' }
const geo = { ip: '136.179.39.31', city: 'Irvine', region: 'California', country: 'US', loc: '33.7074,-117.7054' }
const heard = { status: 200, body: heardRecord }
const answered = (body: unknown, status = 200): object => ({ kind: 'answered', status, body })
const denied = (status: number, scope: string): object => ({
  kind: 'denied',
  scope,
  answer: expect.objectContaining({ status }),
})
const wrongIp = { status: 404, error: { title: 'Wrong ip', message: 'Please provide a valid IP address' } }

describeProvider('IPASIS', {
  provider: ipasis('https://ipasis.test'),
  credentials: { 'x-api-key': 'k3y' },
  questions: [
    ['/8.8.8.8', 'https://ipasis.test/v1/8.8.8.8'],
    ['/2001:4860:4860::8888', 'https://ipasis.test/v1/2001:4860:4860::8888'],
    ['/8.8.8.8/geo', 'https://ipasis.test/v1/8.8.8.8'],
    ['/8.8.8.8/city', 'https://ipasis.test/v1/8.8.8.8'],
    ['/8.8.8.8/privacy', 'https://ipasis.test/v1/8.8.8.8'],
    ['/8.8.8.8/carrier', 'none'],
    ['/8.8.8.8/nonsense', 'none'],
    ['/8.8.8.8/city/more', 'none'],
    ['/8.8.8.8?fields=city', 'none'],
    ['/AS15169', 'none'],
    ['/ranges/google.com', 'none'],
    ['/domains/8.8.8.8', 'none'],
    ['/me', 'none'],
    ['/dead', 'none'],
    ['POST /batch', 'none'],
    ['POST /8.8.8.8', 'none'],
    ['api /lite/8.8.8.8', 'none'],
    ['api /8.8.8.8', 'none'],
  ],
  replies: [
    [
      'a record has IPinfo’s names, order and org, and what is not known is absent',
      '/136.179.39.31',
      heard,
      answered({
        ...geo,
        org: 'AS23005 SWITCH-LTD',
        timezone: 'America/Los_Angeles',
        asn,
        company: { name: 'SWITCH-LTD', domain: '', type: '' },
        privacy,
      }),
    ],
    [
      'fields that we do not know are kept, and domains are a list',
      '/1.1.1.1',
      { status: 200, body: { ip: '1.1.1.1', risk: { Score: 3 }, domains: { Page: 0, Total: 2, Domains: null } } },
      answered({ ip: '1.1.1.1', risk: { Score: 3 }, domains: { page: 0, total: 2, domains: [] } }),
    ],
    ['/geo is a part of it', '/136.179.39.31/geo', heard, answered({ ...geo, timezone: 'America/Los_Angeles' })],
    ['so is a module', '/136.179.39.31/privacy', heard, answered(privacy)],
    ['a module that is not known is empty', '/136.179.39.31/abuse', heard, answered({})],
    ['a field is a line of text', '/136.179.39.31/org', heard, answered('AS23005 SWITCH-LTD\n')],
    ['a field that is not known is an empty line', '/136.179.39.31/postal', heard, answered('\n')],
    ['400 is IPinfo’s 404', '/1.1.1.1', { status: 400, body: { error: 'invalid ip' } }, answered(wrongIp, 404)],
    [
      'another refusal keeps its status and gets IPinfo’s form',
      '/1.1.1.1',
      { status: 404, body: 'gone k3y', contentType: 'text/plain' },
      answered({ status: 404, error: { title: 'No answer', message: 'The provider has no answer to this' } }, 404),
    ],
    ['401: the key is not known', '/1.1.1.1', { status: 401, body: {} }, denied(401, 'key')],
    ['403 that says so', '/1.1.1.1', { status: 403, body: { error: 'invalid API key' } }, denied(403, 'key')],
    ['403 that does not', '/1.1.1.1', { status: 403, body: { error: 'plan' } }, denied(403, 'product')],
    ...[[], 'text', null, { city: 'Irvine' }].map(
      (body) =>
        [
          `${JSON.stringify(body)} is no record`,
          '/1.1.1.1',
          { status: 200, body: JSON.stringify(body) },
          { kind: 'failed', code: 'upstream_invalid', status: 200, detail: 'not the record of what was asked' },
        ] as const,
    ),
  ],
})
