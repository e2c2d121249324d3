import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { connect, isIP, type LookupFunction, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import { abortAfter } from '@ipfleet/core/abort-after.ts'
import { errorCode } from '@ipfleet/core/error-code.ts'
import { AwaitedStatus } from '@ipfleet/proxy/http1/awaited-status.ts'
import { exchangeOver } from '@ipfleet/proxy/http1/exchange-over.ts'
import { UpstreamFault } from '@ipfleet/proxy/http1/upstream-fault.ts'
import { isOwnLack } from '../dial/connect-failure.ts'
import type { ParentDialer } from '../dial/parent-dialer.ts'
import { lookupBy } from '@ipfleet/net/lookup-by.ts'
import type { NameLookups } from '@ipfleet/net/name-lookups.ts'
import type { ParentProxy } from './parent-proxy.ts'
import type { CheckVerdict, Source, SourceCheck } from './source-pool.ts'

export interface SourceCheckOptions {
  /** `http://`, `https://`: asked with GET, an answer below 500 will do. `tcp://host:port`: connected to. */
  readonly url: string | undefined
  /** For the whole check. */
  readonly timeoutMs: number
  /** For the host of the URL, at each check. Default: the system's, which looks up a few names at a time. */
  readonly names?: NameLookups
}

function isShortage(code: string): boolean {
  return isOwnLack(code) || code === 'EADDRINUSE'
}

/**
 * Makes the check of whether a source is good: the address is this machine's, or the parent is reached, and, with a URL,
 * something can be reached from it, by a connection of its own: a kept one would not show that no new one can be made.
 * Throws a RangeError if the URL is none of those above.
 * @param parents for sources that are parents
 */
export function createSourceCheck(
  { url: given, timeoutMs, names }: SourceCheckOptions,
  parents?: ParentDialer,
): SourceCheck {
  const lookup = names && lookupBy(names)
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
    return timed(signal, (either) => checkAddress(source, url, either, lookup))
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
    return { kind: isShortage(errorCode(error) ?? 'UNKNOWN') ? 'unknown' : 'not_ours' }
  } finally {
    socket.close()
  }
}

async function checkAddress(
  { address, family }: Source,
  url: URL,
  signal: AbortSignal,
  lookup: LookupFunction | undefined,
): Promise<CheckVerdict> {
  const to = { host: hostOf(url), port: portOf(url), ...(lookup && { lookup }) }
  const socket = connect({ ...to, localAddress: address, family, allowHalfOpen: true })
  try {
    await once(socket, 'connect', { signal })
    return await answerVerdict(url, socket, signal)
  } catch (error) {
    const reason = error instanceof UpstreamFault ? error.reason : (errorCode(error) ?? 'UNKNOWN')
    // The address was there a moment ago: from `connect` this means that it has no free port for the target.
    return isShortage(reason) || reason === 'EADDRNOTAVAIL' ? { kind: 'unknown' } : { kind: 'failed', reason }
  } finally {
    socket.on('error', () => {}).destroy()
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
    try {
      const socket = await dialer.reach(parent, signal)
      socket.destroy()
      return { kind: 'good' }
    } catch (error) {
      const reason = errorCode(error) ?? 'UNKNOWN'
      return isOwnLack(reason) ? { kind: 'unknown' } : { kind: 'parent_failed', reason }
    }
  }
  const end = await dialer.open(parent, { host: hostOf(url), port: portOf(url) }, signal)
  if (end.kind === 'own_lack') return { kind: 'unknown' }
  if (end.kind === 'parent_failed') return { kind: 'parent_failed', reason: end.code }
  if (end.kind === 'target_failed') return { kind: 'failed', reason: end.code }
  const { socket } = end
  try {
    return await answerVerdict(url, socket, signal)
  } catch {
    return { kind: 'failed', reason: 'no answer through it' }
  } finally {
    socket.on('error', () => {}).destroy()
  }
}

function portOf({ protocol, port }: URL): number {
  return Number(port) || (protocol === 'https:' ? 443 : 80)
}

/** An address of IPv6 without brackets. */
function hostOf({ hostname }: URL): string {
  return hostname.replace(/^\[(.*)\]$/, '$1')
}

/** Over a connection to the target, or through a parent. Rejects when no answer comes that can be read. */
async function answerVerdict(url: URL, socket: Socket, signal: AbortSignal): Promise<CheckVerdict> {
  if (url.protocol === 'tcp:') return { kind: 'good' }
  const secured = url.protocol === 'https:' ? await tlsOver(socket, hostOf(url), signal) : socket
  const login = loginOf(url)
  const head = `GET ${url.pathname}${url.search} HTTP/1.1\r\nHost: ${url.host}\r\nUser-Agent: ipfleet-egress\r\n${login}`
  const awaited = new AwaitedStatus('head', signal)
  const exchange = exchangeOver(secured, { method: 'GET', head, body: 'none' }, awaited, untilAborted)
  try {
    const status = await awaited.status
    return status < 500 ? { kind: 'good' } : { kind: 'failed', reason: `answered ${status}` }
  } finally {
    exchange.abort()
  }
}

const untilAborted = { answerTimeoutMs: Infinity, idleTimeoutMs: Infinity }

/** Node 26 refuses an address as the name of a server (RFC 6066 §3). */
async function tlsOver(socket: Socket, host: string, signal: AbortSignal): Promise<Socket> {
  const secured = connectTls({ socket, host, servername: isIP(host) === 0 ? host : '', ALPNProtocols: ['http/1.1'] })
  try {
    await once(secured, 'secureConnect', { signal })
    return secured
  } catch (error) {
    secured.on('error', () => {}).destroy()
    throw error
  }
}

function loginOf({ username, password }: URL): string {
  if (username === '' && password === '') return ''
  const pair = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`
  return `Authorization: Basic ${Buffer.from(pair).toString('base64')}\r\n`
}
