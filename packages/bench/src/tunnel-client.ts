import { connect, type OnReadOpts, type Socket } from 'node:net'

/** Where a tunnel goes, and through which proxy of this machine. */
export interface TunnelRoute {
  readonly proxyPort: number
  /** host:port */
  readonly target: string
}

/** Connects to the proxy and asks it for the tunnel. Its answer is what comes first. */
export function askForTunnel({ proxyPort, target }: TunnelRoute, onread?: OnReadOpts): Socket {
  const socket = connect({ port: proxyPort, host: '127.0.0.1', ...(onread && { onread }) })
  socket.write(`CONNECT ${target} HTTP/1.1\r\nHost: ${target}\r\n\r\n`, 'latin1')
  return socket
}

/** Whether the whole head of an answer has come, and says that the tunnel stands. */
export function isOpen(answer: string): boolean {
  return answer.startsWith('HTTP/1.1 200 ') && answer.endsWith('\r\n\r\n')
}
