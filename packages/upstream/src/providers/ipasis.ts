import { classify } from '../classify.ts'
import { quotaOf } from '../quota-headers.ts'
import type { Reply, UpstreamAnswer } from '../reply.ts'
import type { UpstreamRequest } from '../upstream-request.ts'
import { ipinfoRecord, type IpinfoRecord } from './ipasis-record.ts'
import type { Provider } from './provider.ts'

/** What can be read out of a record of IPASIS, by the last part of IPinfo's path. */
const textFields: ReadonlySet<string> = new Set('ip hostname city region country loc postal timezone org'.split(' '))
const geoFields: ReadonlySet<string> = new Set('ip city region country loc postal timezone'.split(' '))
const modules: ReadonlySet<string> = new Set('asn company privacy abuse domains'.split(' '))

/**
 * IPASIS, which has one kind of answer: the record of an address, with what IPinfo calls modules in it. It is asked
 * for IPinfo's `/{ip}` and for the parts that are in the record; AS numbers, ranges, batches, accounts and the newer
 * products are not to be had.
 * @param baseUrl scheme and host, without a slash at the end
 */
export function ipasis(baseUrl: string): Provider {
  return {
    takesBatches: false,
    urlOf: (request) => {
      const asked = partOf(request)
      return asked && `${baseUrl}/v1/${asked.address}`
    },
    credentials: (key) => ({ 'x-api-key': key }),
    unitsOf: () => 1,
    read: (heard, headers, request) => {
      const quota = quotaOf(headers)
      const reply = classify(heard, headers, 'json', { isUnknownToken })
      return { ...inIpinfosForm(reply, partOf(request)?.part), ...(quota && { quota }) }
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

/** 401 is said of a key that is missing or not known; 403 also of one that may not ask this. */
function isUnknownToken({ status, body }: UpstreamAnswer): boolean {
  return status === 401 || /(unknown|invalid|missing) (api )?(token|key)/i.test(body.toString('utf8', 0, 1000))
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
