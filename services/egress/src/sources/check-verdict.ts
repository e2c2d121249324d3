import { request as requestPlain, type RequestOptions } from 'node:http'
import { request as requestTls } from 'node:https'
import type { ParentProxy } from './parent-proxy.ts'

export type CheckVerdict =
  | { readonly kind: 'good' }
  /** This machine does not have the address: it cannot be bound. */
  | { readonly kind: 'not_ours' }
  /** The address could be bound, but the target was not reached. `reason`: for people: `ECONNREFUSED`, `answered 503`. */
  | { readonly kind: 'failed'; readonly reason: string }
  /** A parent was not reached, or does not serve this proxy. */
  | { readonly kind: 'parent_failed' }
  /** This machine lacks what a check needs: file descriptors, ports, memory. Says nothing of the address. */
  | { readonly kind: 'unknown' }

/** One check of a parent. As a `SourceCheck`. */
export type ParentCheck = (parent: ParentProxy, signal: AbortSignal) => Promise<CheckVerdict>

/** An address of IPv6 without brackets. */
export function hostOfUrl({ hostname }: URL): string {
  return hostname.replace(/^\[(.*)\]$/, '$1')
}

export function noAnswer(timeoutMs: number): CheckVerdict {
  return { kind: 'failed', reason: `no answer within ${timeoutMs} ms` }
}

/** Rejects when there is no answer. */
export function answerVerdict(url: URL, connection: RequestOptions): Promise<CheckVerdict> {
  const { promise, resolve, reject } = Promise.withResolvers<CheckVerdict>()
  const headers = { 'user-agent': 'ipfleet-egress', connection: 'close' }
  const options = { agent: false, headers, ...connection }
  const outgoing = url.protocol === 'https:' ? requestTls(url, options) : requestPlain(url, options)
  outgoing.on('error', reject)
  outgoing.on('response', ({ statusCode = 0 }) => {
    resolve(statusCode < 500 ? { kind: 'good' } : { kind: 'failed', reason: `answered ${statusCode}` })
    outgoing.destroy()
  })
  outgoing.end()
  return promise
}
