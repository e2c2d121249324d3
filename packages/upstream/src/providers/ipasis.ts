import { classify } from '../classify.ts'
import { quotaOf } from '../quota-headers.ts'
import type { Reply, UpstreamAnswer } from '../reply.ts'
import type { Product } from '../product.ts'
import type { Rule } from '../rules.ts'
import type { UpstreamRequest } from '../upstream-request.ts'
import { ipinfoRecord, type IpinfoRecord } from './ipasis-record.ts'
import type { Provider } from './provider.ts'

/** What can be read out of a record of IPASIS, by the last part of IPinfo's path. */
const textFields: ReadonlySet<string> = new Set('ip hostname city region country loc postal timezone org'.split(' '))
const geoFields: ReadonlySet<string> = new Set('ip city region country loc postal timezone'.split(' '))
const modules: ReadonlySet<string> = new Set('asn company privacy abuse domains'.split(' '))

/** There is one kind of answer, which every key may have. */
const lookup: Product = { name: 'core', kind: 'plan' }

/** What the statuses of IPASIS mean. It has no account that could tell a missing permission from an unknown key. */
const ipasisRules: readonly Rule[] = [
  { status: '2xx', says: 'anything', action: 'answer' },
  { status: '3xx', says: 'anything', action: 'fail' },
  { status: '401', says: 'page', action: 'fail_over' },
  { status: '401', says: 'anything', action: 'deny_key' },
  { status: '402', says: 'page', action: 'fail_over' },
  { status: '402', says: 'anything', action: 'exhaust_key' },
  { status: '403', says: 'page', action: 'fail_over' },
  { status: '403', says: 'blocked', action: 'refuse_query' },
  { status: '403', says: 'unknown_token', action: 'deny_key' },
  { status: '403', says: 'anything', action: 'deny_product' },
  { status: '408', says: 'anything', action: 'reconnect' },
  { status: '421', says: 'anything', action: 'reconnect' },
  { status: '425', says: 'anything', action: 'reconnect' },
  { status: '429', says: 'anything', action: 'rest_product' },
  { status: '4xx', says: 'page', action: 'fail_over' },
  { status: '4xx', says: 'anything', action: 'answer' },
  { status: '5xx', says: 'anything', action: 'fail' },
]

/**
 * IPASIS, which has one kind of answer: the record of an address, with what IPinfo calls modules in it. It is asked
 * for IPinfo's `/{ip}` and for the parts that are in the record; AS numbers, ranges, batches, accounts and the newer
 * products are not to be had.
 * @param baseUrl scheme and host, without a slash at the end
 * @param ownRules of the operator, before those of the table
 */
export function ipasis(baseUrl: string, ownRules: readonly Rule[] = []): Provider {
  const rules = [...ownRules, ...ipasisRules]
  return {
    takesBatches: false,
    urlOf: (request) => {
      const asked = partOf(request)
      return asked && `${baseUrl}/v1/${asked.address}`
    },
    productOf: () => lookup,
    credentials: (key) => ({ 'x-api-key': key }),
    unitsOf: () => 1,
    read: (heard, headers, request) => {
      const quota = quotaOf(headers)
      const { address = '', part } = partOf(request) ?? {}
      // Whatever part was asked for, what comes is the record.
      const record: UpstreamRequest = { ...request, path: `/${address}`, expected: 'json' }
      const reply = classify(heard, headers, { request: record, product: lookup, rules })
      return { ...inIpinfosForm(reply, part), ...(quota && { quota }) }
    },
  }
}

/** `/8.8.8.8`, `/8.8.8.8/city`. Undefined for anything else. */
function partOf({ method, surface, path }: UpstreamRequest): { address: string; part: string } | undefined {
  const [, address, part = ''] = /^\/([\da-f.:]*[.:][\da-f.:]*)(?:\/([a-z]+))?$/.exec(path) ?? []
  if (method !== 'GET' || surface !== 'legacy' || address === undefined) return undefined
  const isOffered = part === '' || part === 'geo' || textFields.has(part) || modules.has(part)
  return isOffered ? { address, part } : undefined
}

function inIpinfosForm(reply: Reply, part = ''): Reply {
  if (reply.kind !== 'answered') return reply
  const { status, body } = reply.answer
  if (status >= 400) return { ...reply, answer: refusalOf(status) }
  const record = ipinfoRecord(JSON.parse(body.toString('utf8')))
  if (!record) return { kind: 'failed', code: 'upstream_invalid', status, detail: 'not the record of an address' }
  return { ...reply, answer: answerTo(part, record) }
}

function answerTo(part: string, record: IpinfoRecord): UpstreamAnswer {
  if (part === '') return json(200, record)
  if (part === 'geo')
    return json(200, Object.fromEntries(Object.entries(record).filter(([name]) => geoFields.has(name))))
  if (modules.has(part)) return json(200, record[part] ?? {})
  const value = record[part]
  const text = typeof value === 'string' ? value : ''
  return { status: 200, contentType: 'text/plain; charset=utf-8', body: Buffer.from(`${text}\n`) }
}

/** What IPASIS says to an address that it cannot read, or knows nothing about, in words of IPinfo. */
function refusalOf(status: number): UpstreamAnswer {
  return status === 400
    ? json(404, { status: 404, error: { title: 'Wrong ip', message: 'Please provide a valid IP address' } })
    : json(status, { status, error: { title: 'No answer', message: 'The provider has no answer to this' } })
}

function json(status: number, value: unknown): UpstreamAnswer {
  return { status, contentType: 'application/json; charset=utf-8', body: Buffer.from(JSON.stringify(value, null, 2)) }
}
