import { connect, type Socket } from 'node:net'
import { connect as connectTls, type TLSSocket } from 'node:tls'

const reopenMs = 100

export interface SocketFlood {
  readonly connections: number
  /** HTTP/2 over TLS. Default: plain TCP. */
  readonly overTls?: boolean
  /** What each connection sends first. */
  readonly bytes: string | Buffer
  /** It sends that again: with each part of an answer, or as fast as the server takes it. Default: only once. */
  readonly again?: 'when answered' | 'at once'
  /** It takes nothing of the answers. */
  readonly neverReads?: boolean
  /** Sent each time in place of `bytes`, for what must not repeat. */
  readonly next?: () => string | Buffer
}

/** Opens the connections from 127.0.0.1, and each again when it is closed. Resolves when all have been open. */
export function floodSockets(port: number, flood: SocketFlood): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>()
  let open = 0
  const begin = (): void => {
    const socket = connection(port, flood.overTls === true)
    socket.once(flood.overTls ? 'secureConnect' : 'connect', () => {
      open += 1
      if (open === flood.connections) resolve()
      send(socket, flood)
    })
    socket.on('error', () => undefined)
    socket.on('close', () => setTimeout(begin, reopenMs))
  }
  for (let count = 0; count < flood.connections; count += 1) begin()
  return promise
}

function connection(port: number, overTls: boolean): Socket | TLSSocket {
  const options = { port, host: '127.0.0.1' }
  return overTls ? connectTls({ ...options, ALPNProtocols: ['h2'], rejectUnauthorized: false }) : connect(options)
}

function send(socket: Socket, { bytes, next = () => bytes, again, neverReads }: SocketFlood): void {
  if (neverReads) socket.pause()
  else socket.on('data', () => void (again === 'when answered' && socket.write(next())))
  socket.write(bytes)
  if (again !== 'at once') return
  const pump = (): void => {
    while (!socket.destroyed && socket.write(next())) continue
  }
  socket.on('drain', pump)
  pump()
}
