import { connect, type OnReadOpts, type Socket } from 'node:net'

/**
 * Connects to a proxy of this machine and asks it for a tunnel to `target` (host:port). Its answer is what comes first.
 */
export function askForTunnel(proxyPort: number, target: string, onread?: OnReadOpts): Socket {
  const socket = connect({ port: proxyPort, host: '127.0.0.1', ...(onread && { onread }) })
  socket.write(`CONNECT ${target} HTTP/1.1\r\nHost: ${target}\r\n\r\n`, 'latin1')
  return socket
}

/** Whether the whole head of an answer has come, and says that the tunnel stands. */
export function isOpen(answer: string): boolean {
  return answer.startsWith('HTTP/1.1 200 ') && answer.endsWith('\r\n\r\n')
}
