import { createServer, type Socket } from 'node:net'

/** What tunnels lead to: node tunnel-origin-main.ts PORT echo|stream */

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

createServer((socket) => {
  // Whoever has read enough closes the connection in the middle.
  socket.on('error', () => {})
  if (kind === 'stream') stream(socket)
  else echo(socket)
}).listen({ port: Number(port), host: '127.0.0.1', backlog: 1024 })
