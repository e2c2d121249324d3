import { once } from 'node:events'
import type { Server } from 'node:http'
import type { Server as TcpServer } from 'node:net'
import { trackConnections } from './connection-tracker.ts'
import { errorCode } from '@ipfleet/core/error-code.ts'

export interface ListenOptions {
  /** 0 takes any free port. */
  readonly port: number
  readonly host: string
}

/** A server could not listen. `message` says in plain words where and why, `code` is the system's. */
export class ListenError extends Error {
  override readonly name = 'ListenError'
  readonly code: string

  constructor({ host, port }: ListenOptions, code: string, cause: unknown) {
    const where = host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
    const { reason, advice } = reasons[code] ?? { reason: 'the system refused', advice: undefined }
    super(`Cannot listen on ${where}: ${reason} (${code})${advice ? `. ${advice(port)}` : ''}`, { cause })
    this.code = code
  }
}

interface Reason {
  readonly reason: string
  /** What to type. */
  readonly advice?: (port: number) => string
}

const reasons: Readonly<Record<string, Reason>> = {
  EADDRINUSE: {
    reason: 'another process has the port',
    advice: (port) => `Which one: ss -ltnp 'sport = :${port}'`,
  },
  EACCES: {
    reason: 'this user may not take the port',
    advice: (port) => `To allow it to all users: sudo sysctl net.ipv4.ip_unprivileged_port_start=${port}`,
  },
  EADDRNOTAVAIL: { reason: 'this machine does not have the address' },
  ENOTFOUND: { reason: 'the name has no address' },
}

/**
 * Starts to listen, and to follow connections for `gracefulClose`. Gives the port. Throws a ListenError.
 * `listener`: what listens in the server's place, and hands it the connections.
 */
export async function listen(
  server: Server,
  { port, host }: ListenOptions,
  listener: TcpServer = server,
): Promise<number> {
  trackConnections(server)
  const listening = once(listener, 'listening')
  listener.listen({ port, host })
  try {
    await listening
  } catch (error) {
    throw new ListenError({ port, host }, errorCode(error) ?? 'unknown', error)
  }
  const bound = listener.address()
  return bound !== null && typeof bound === 'object' ? bound.port : port
}
