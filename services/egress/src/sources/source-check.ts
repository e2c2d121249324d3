import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { connect } from 'node:net'
import { answerVerdict, type CheckVerdict, hostOfUrl, noAnswer, type ParentCheck } from './check-verdict.ts'
import type { Source } from './source-pool.ts'
import { errorCode } from '@ipfleet/core/error-code.ts'

/** One check. Never rejects; what comes of a check after `signal` has no meaning. */
export type SourceCheck = (source: Source, signal: AbortSignal) => Promise<CheckVerdict>

export interface SourceCheckOptions {
  /** `http://`, `https://`: asked with GET, an answer below 500 will do. `tcp://host:port`: connected to. */
  readonly url: string | undefined
  /** For the whole check. */
  readonly timeoutMs: number
}

const shortages = new Set(['EMFILE', 'ENFILE', 'ENOBUFS', 'ENOMEM', 'EADDRINUSE'])

/**
 * Makes the check of whether a source is good: the address is this machine's, and, with a URL, something can be
 * reached from it, by a connection of its own: a kept one would not show that no new one can be made.
 * Throws a RangeError if the URL is none of those above.
 * @param checkParent for sources that are parents
 */
export function createSourceCheck({ url, timeoutMs }: SourceCheckOptions, checkParent?: ParentCheck): SourceCheck {
  const attempt = url === undefined ? undefined : attemptAt(new URL(url))
  return async (source, signal) => {
    if (source.parent !== undefined) return checkParent?.(source.parent, signal) ?? { kind: 'unknown' }
    const bound = await bind(source)
    if (bound.kind !== 'good' || attempt === undefined) return bound
    const deadline = AbortSignal.timeout(timeoutMs)
    try {
      return await attempt(source, AbortSignal.any([signal, deadline]))
    } catch (error) {
      if (deadline.aborted) return noAnswer(timeoutMs)
      const code = errorCode(error) ?? 'UNKNOWN'
      // The address was there a moment ago: from `connect` this means that it has no free port for the target.
      return shortages.has(code) || code === 'EADDRNOTAVAIL' ? { kind: 'unknown' } : { kind: 'failed', reason: code }
    }
  }
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

function attemptAt(url: URL): SourceCheck {
  const { protocol, port } = url
  if (protocol === 'http:' || protocol === 'https:')
    return ({ address, family }, signal) => answerVerdict(url, { localAddress: address, family, signal })
  const host = hostOfUrl(url)
  if (protocol === 'tcp:' && host !== '' && Number(port) > 0) {
    return (source, signal) => reach(host, Number(port), source, signal)
  }
  throw new RangeError(`Not the URL of a check: ${protocol}//${host}`)
}

async function reach(host: string, port: number, source: Source, signal: AbortSignal): Promise<CheckVerdict> {
  const socket = connect({ host, port, localAddress: source.address, family: source.family })
  try {
    await once(socket, 'connect', { signal })
    return { kind: 'good' }
  } finally {
    socket.on('error', () => {})
    socket.destroy()
  }
}
