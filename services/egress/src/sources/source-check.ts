import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import type { RequestOptions } from 'node:http'
import { request as requestTls } from 'node:https'
import { connect, isIP, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import { abortAfter } from '@ipfleet/core/abort-after.ts'
import { http } from '@ipfleet/core/node-http.ts'
import { errorCode } from '@ipfleet/core/error-code.ts'
import type { ParentDialer } from '../dial/parent-dialer.ts'
import type { ParentProxy } from './parent-proxy.ts'
import type { CheckVerdict, Source, SourceCheck } from './source-pool.ts'

export interface SourceCheckOptions {
  /** `http://`, `https://`: asked with GET, an answer below 500 will do. `tcp://host:port`: connected to. */
  readonly url: string | undefined
  /** For the whole check. */
  readonly timeoutMs: number
}

const shortages = new Set(['EMFILE', 'ENFILE', 'ENOBUFS', 'ENOMEM', 'EADDRINUSE'])

/**
 * Makes the check of whether a source is good: the address is this machine's, or the parent is reached, and, with a URL,
 * something can be reached from it, by a connection of its own: a kept one would not show that no new one can be made.
 * Throws a RangeError if the URL is none of those above.
 * @param parents for sources that are parents
 */
export function createSourceCheck({ url: given, timeoutMs }: SourceCheckOptions, parents?: ParentDialer): SourceCheck {
  const url = given === undefined ? undefined : checkableUrl(given)
  const timed = async (
    signal: AbortSignal,
    attempt: (signal: AbortSignal) => Promise<CheckVerdict>,
  ): Promise<CheckVerdict> => {
    const deadline = abortAfter(timeoutMs)
    const verdict = await attempt(AbortSignal.any([signal, deadline]))
    // A parent that is silent may wait for its target.
    const isLate =
      deadline.aborted && url !== undefined && (verdict.kind === 'failed' || verdict.kind === 'parent_failed')
    return isLate ? { kind: 'failed', reason: `no answer within ${timeoutMs} ms` } : verdict
  }
  return async (source, signal) => {
    const { parent } = source
    if (parent !== undefined) {
      if (parents === undefined) return { kind: 'unknown' }
      return timed(signal, (either) => checkParent(parent, parents, url, either))
    }
    const bound = await bind(source)
    if (bound.kind !== 'good' || url === undefined) return bound
    return timed(signal, (either) => checkAddress(source, url, either))
  }
}

function checkableUrl(given: string): URL {
  const url = new URL(given)
  const { protocol, hostname, port } = url
  if (protocol === 'http:' || protocol === 'https:') return url
  if (protocol === 'tcp:' && hostname !== '' && Number(port) > 0) return url
  throw new RangeError(`Not the URL of a check: ${protocol}//${hostname}`)
}

/** Binding a datagram socket asks the kernel for the address, sends nothing, and takes no port of TCP. */
async function bind({ address, family = 4 }: Source): Promise<CheckVerdict> {
  const socket = createSocket({ type: `udp${family}`, ipv6Only: family === 6 })
  try {
    socket.bind({ address, port: 0, exclusive: true })
    await once(socket, 'listening')
    return { kind: 'good' }
  } catch (error) {
    // EADDRNOTAVAIL as a rule; EAFNOSUPPORT on a machine without IPv6.
    return { kind: shortages.has(errorCode(error) ?? 'UNKNOWN') ? 'unknown' : 'not_ours' }
  } finally {
    socket.close()
  }
}

async function checkAddress({ address, family }: Source, url: URL, signal: AbortSignal): Promise<CheckVerdict> {
  const from = { localAddress: address, family }
  try {
    if (url.protocol !== 'tcp:') return await answerVerdict(url, { agent: false, ...from, signal })
    const socket = connect({ host: hostOf(url), port: Number(url.port), ...from })
    try {
      await once(socket, 'connect', { signal })
      return { kind: 'good' }
    } finally {
      socket.on('error', () => {}).destroy()
    }
  } catch (error) {
    const code = errorCode(error) ?? 'UNKNOWN'
    // The address was there a moment ago: from `connect` this means that it has no free port for the target.
    return shortages.has(code) || code === 'EADDRNOTAVAIL' ? { kind: 'unknown' } : { kind: 'failed', reason: code }
  }
}

/** Without a URL, the parent itself is reached. */
async function checkParent(
  parent: ParentProxy,
  dialer: ParentDialer,
  url: URL | undefined,
  signal: AbortSignal,
): Promise<CheckVerdict> {
  if (url === undefined) {
    const socket = await dialer.reach(parent, signal).catch(() => undefined)
    socket?.destroy()
    return { kind: socket === undefined ? 'parent_failed' : 'good' }
  }
  const { protocol, port } = url
  const defaultPort = protocol === 'https:' ? 443 : 80
  const end = await dialer.open(parent, { host: hostOf(url), port: Number(port) || defaultPort }, signal)
  if (end.kind === 'parent_failed') return { kind: 'parent_failed' }
  if (end.kind === 'target_failed') return { kind: 'failed', reason: end.code }
  const { socket } = end
  socket.on('error', () => {}).resume()
  try {
    if (protocol === 'tcp:') return { kind: 'good' }
    // With an `agent`, even `false`, Node 26 makes a connection of its own. Without one it knows no default port.
    return await answerVerdict(url, { createConnection: () => secured(url, socket), defaultPort, signal })
  } catch {
    return { kind: 'failed', reason: 'no answer through it' }
  } finally {
    socket.destroy()
  }
}

/** Node 26 refuses an address as the name of a server (RFC 6066 §3). */
function secured(url: URL, socket: Socket): Socket {
  const host = hostOf(url)
  return url.protocol === 'https:' ? connectTls({ socket, host, servername: isIP(host) === 0 ? host : '' }) : socket
}

/** An address of IPv6 without brackets. */
function hostOf({ hostname }: URL): string {
  return hostname.replace(/^\[(.*)\]$/, '$1')
}

/** Rejects when there is no answer. */
function answerVerdict(url: URL, connection: RequestOptions): Promise<CheckVerdict> {
  const { promise, resolve, reject } = Promise.withResolvers<CheckVerdict>()
  const headers = { 'user-agent': 'ipfleet-egress', connection: 'close' }
  const options = { headers, ...connection }
  const outgoing = url.protocol === 'https:' ? requestTls(url, options) : http.request(url, options)
  outgoing.on('error', reject)
  outgoing.on('response', ({ statusCode = 0 }) => {
    resolve(statusCode < 500 ? { kind: 'good' } : { kind: 'failed', reason: `answered ${statusCode}` })
    outgoing.destroy()
  })
  outgoing.end()
  return promise
}
