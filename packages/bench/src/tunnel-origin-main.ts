import { createServer, type Socket } from 'node:net'
import { originAddresses } from './tunnel-origin.ts'

/** What tunnels lead to, on each of its addresses: node tunnel-origin-main.ts PORT echo|stream */

const [port = '0', kind = 'echo'] = process.argv.slice(2)
const block = Buffer.alloc(256 * 1024)

function echo(socket: Socket): void {
  socket.pipe(socket)
}

/** As much as the other side takes. */
function stream(socket: Socket): void {
  const fill = (): void => {
    while (socket.write(block));
  }
  socket.on('drain', fill).resume()
  fill()
}

function serve(socket: Socket): void {
  // Whoever has read enough closes the connection in the middle.
  socket.on('error', () => {})
  if (kind === 'stream') stream(socket)
  else echo(socket)
}

for (const host of originAddresses) createServer(serve).listen({ port: Number(port), host, backlog: 1024 })
