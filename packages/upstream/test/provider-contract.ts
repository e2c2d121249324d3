import { describe, expect, test } from '@jest/globals'
import { offers, type Provider } from '../src/providers/provider.ts'
import type { Reply } from '../src/reply.ts'
import type { UpstreamRequest } from '../src/upstream-request.ts'

/** A reply of the provider; a body that is not text is sent as JSON. */
interface Heard {
  readonly status: number
  readonly body?: unknown
  readonly contentType?: string
  readonly headers?: Readonly<Record<string, string>>
}

/** Everything that is to be known about a provider's adapter. */
export interface ProviderTable {
  readonly provider: Provider
  /** Questions (`/8.8.8.8`; `api /lite/8.8.8.8`; `POST /batch`) and the URL for each; `none`: not offered. */
  readonly questions: readonly (readonly [question: string, url: string])[]
  /** The one header field that carries the key `k3y`. */
  readonly credentials: Readonly<Record<string, string>>
  /** What the provider says to a question, and what that means. */
  readonly replies: readonly (readonly [what: string, question: string, heard: Heard, meaning: object])[]
}

/** What every provider's adapter does, and what this one's table says. */
export function describeProvider(name: string, { provider, questions, credentials, replies }: ProviderTable): void {
  const read = (question: string, { status, body = '', contentType = jsonType, headers = {} }: Heard): Reply => {
    const bytes = Buffer.from(typeof body === 'string' ? body : JSON.stringify(body))
    return provider.read({ status, contentType, body: bytes }, headers, requestOf(question))
  }
  const offered = questions.filter(([, url]) => url !== 'none').map(([question]) => question)

  describe(`${name}: a question`, () => {
    test.each(questions)('%s is put to %s', (question, url) => {
      expect(provider.urlOf(requestOf(question)) ?? 'none').toBe(url)
      expect(offers(provider, requestOf(question))).toBe(url !== 'none')
    })

    test('carries the key in one header field', () => {
      expect(provider.credentials('k3y')).toEqual(credentials)
    })
  })

  describe(`${name}: a reply`, () => {
    test.each(replies)('%s', (_, question, heard, meaning) => {
      expect(meaningOf(read(question, heard))).toEqual(meaning)
    })

    test.each(offered)('to %s means the same of the key and of upstream as everywhere', (question) => {
      const headers = { 'retry-after': '17' }
      expect(read(question, { status: 429, body: '<h1>', contentType: 'text/html', headers })).toEqual({
        kind: 'limited',
        scope: 'product',
        reason: 'limited',
        status: 429,
        retryAfterSeconds: 17,
      })
      expect(read(question, { status: 401, body: {} }).kind).toBe('denied')
      expect(read(question, { status: 503 })).toMatchObject({ kind: 'failed', code: 'upstream_failed', status: 503 })
      expect(read(question, { status: 302 })).toMatchObject({ kind: 'failed', code: 'upstream_invalid' })
      expect(read(question, { status: 200, body: '{"ip": "8.8' })).toMatchObject({ kind: 'failed' })
    })

    test.each(offered)('to %s tells the quota, if it says any', (question) => {
      const headers = { 'x-ratelimit-remaining': '7', 'x-ratelimit-limit': '100' }
      expect(read(question, { status: 429, headers }).quota).toEqual({ remaining: 7, limit: 100 })
      expect(read(question, { status: 429 })).not.toHaveProperty('quota')
    })
  })
}

const jsonType = 'application/json; charset=utf-8'

function requestOf(question: string): UpstreamRequest {
  const [, verb = '', path = ''] = /^(?:(\S+) )?(\/.*)$/.exec(question) ?? []
  const surface = verb === 'api' ? 'api' : 'legacy'
  if (verb !== 'POST') return { method: 'GET', surface, path, expected: 'json' }
  const body = { bytes: Buffer.from('[]'), contentType: 'application/json' }
  return { method: 'POST', surface, path, body, expected: 'json' }
}

/** A reply that can be compared: an answer's body as the text or the JSON that it is. */
function meaningOf(reply: Reply): object {
  if (reply.kind !== 'answered') return reply
  const { answer, ...rest } = reply
  const text = answer.body.toString()
  return { ...rest, status: answer.status, body: answer.contentType === jsonType ? JSON.parse(text) : text }
}
