import type { Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import type { ParentDialer } from '../dial/parent-dialer.ts'
import type { ParentProxy } from './parent-proxy.ts'
import { answerVerdict, type CheckVerdict, hostOfUrl, noAnswer, type ParentCheck } from './check-verdict.ts'

export interface ParentCheckOptions {
  /** What is reached through a parent: see `SourceCheckOptions`. Undefined: the parent itself. */
  readonly url: string | undefined
  /** For the whole check. */
  readonly timeoutMs: number
}

/** Makes the check of a parent proxy, by a connection of its own. */
export function createParentCheck({ url: given, timeoutMs }: ParentCheckOptions, dialer: ParentDialer): ParentCheck {
  const url = given === undefined ? undefined : new URL(given)
  return async (parent, signal) => {
    const deadline = AbortSignal.timeout(timeoutMs)
    const either = AbortSignal.any([signal, deadline])
    const verdict = await (url === undefined ? reach(parent, dialer, either) : through(url, parent, dialer, either))
    // A parent that is silent may wait for its target.
    return verdict.kind !== 'good' && deadline.aborted && url !== undefined ? noAnswer(timeoutMs) : verdict
  }
}

async function reach(parent: ParentProxy, dialer: ParentDialer, signal: AbortSignal): Promise<CheckVerdict> {
  try {
    const socket = await dialer.reach(parent, signal)
    socket.destroy()
    return { kind: 'good' }
  } catch {
    return { kind: 'parent_failed' }
  }
}

async function through(
  url: URL,
  parent: ParentProxy,
  dialer: ParentDialer,
  signal: AbortSignal,
): Promise<CheckVerdict> {
  const { protocol, port } = url
  const to = { host: hostOfUrl(url), port: Number(port) || (protocol === 'https:' ? 443 : 80) }
  const end = await dialer.open(parent, to, signal)
  if (end.kind === 'parent_failed') return { kind: 'parent_failed' }
  if (end.kind === 'target_failed') return { kind: 'failed', reason: end.code }
  const { socket } = end
  socket.on('error', () => {}).resume()
  try {
    if (protocol === 'tcp:') return { kind: 'good' }
    return await answerVerdict(url, { createConnection: () => secured(url, socket), signal })
  } catch {
    return { kind: 'failed', reason: 'no answer through it' }
  } finally {
    socket.destroy()
  }
}

function secured(url: URL, socket: Socket): Socket {
  return url.protocol === 'https:' ? connectTls({ socket, servername: url.hostname }) : socket
}
