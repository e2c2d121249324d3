import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'

/** Two ends of one TCP connection; both may stay half-open. */
export async function socketPair(): Promise<readonly [Socket, Socket]> {
  const server = createServer({ allowHalfOpen: true })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const accepted = once(server, 'connection') as Promise<[Socket]>
  const { port } = server.address() as AddressInfo
  const connected = connect({ host: '127.0.0.1', port, allowHalfOpen: true })
  const [[socket]] = await Promise.all([accepted, once(connected, 'connect')])
  server.close()
  return [socket, connected]
}
