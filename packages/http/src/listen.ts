import { once } from 'node:events'
import type { Server } from 'node:http'
import type { Server as TcpServer } from 'node:net'
import { trackConnections } from './connection-tracker.ts'

export interface ListenOptions {
  /** 0 takes any free port. */
  readonly port: number
  readonly host: string
}

/** A server could not listen. `message` says in plain words where and why, `code` is the system's. */
export class ListenError extends Error {
  override readonly name = 'ListenError'
  readonly code: string

  constructor(where: string, code: string, cause: unknown) {
    super(`Cannot listen on ${where}: ${reasons[code] ?? 'the system refused'} (${code})`, { cause })
    this.code = code
  }
}

const reasons: Readonly<Record<string, string>> = {
  EADDRINUSE: 'another process has the port',
  EACCES: 'this user may not take the port; those under 1024 need a privilege',
  EADDRNOTAVAIL: 'this machine does not have the address',
  ENOTFOUND: 'the name has no address',
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
  const where = host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
  const listening = once(listener, 'listening')
  listener.listen({ port, host })
  try {
    await listening
  } catch (error) {
    throw new ListenError(where, systemCode(error), error)
  }
  const bound = listener.address()
  return bound !== null && typeof bound === 'object' ? bound.port : port
}

function systemCode(error: unknown): string {
  return typeof error === 'object' && error !== null && 'code' in error ? String(error.code) : 'unknown'
}
