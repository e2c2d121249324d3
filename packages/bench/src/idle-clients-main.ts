import { once } from 'node:events'
import { connect, type Socket } from 'node:net'

/**
 * Clients that have had one answer each and stay: node idle-clients-main.ts PORT CONNECTIONS TARGET
 *
 * Prints {"msg":"open"} when all are there. Ends with a sentence and code 1 when the server closes one of them.
 */

const [port = 0, connections = 0] = process.argv.slice(2, 4).map(Number)
const target = process.argv[4] ?? '/'
const atATime = 100

async function openSome(left: Iterable<unknown>): Promise<void> {
  for (const _ of left) await openOne()
}

async function openOne(): Promise<void> {
  const socket = connect({ port, host: '127.0.0.1' })
  socket.once('error', ({ message }) => giveUp(message))
  socket.once('close', () => giveUp('the server closed a connection'))
  await once(socket, 'connect')
  socket.write(`GET ${target} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\n\r\n`)
  await wholeAnswer(socket)
}

/** Resolves at the end of an answer with a Content-Length. */
function wholeAnswer(socket: Socket): Promise<void> {
  return new Promise((resolve) => {
    let answer = ''
    socket.setEncoding('latin1').on('data', (part: string) => {
      answer += part
      const [head = '', body] = answer.split('\r\n\r\n', 2)
      const length = Number(/^content-length: *(\d+)$/im.exec(head)?.[1])
      if (body === undefined || body.length < length) return
      if (!head.startsWith('HTTP/1.1 200 ')) giveUp(`the server answered ${head.split('\r\n', 1).join('')}`)
      resolve()
    })
  })
}

function giveUp(why: string): never {
  process.stderr.write(`${why}\n`)
  process.exit(1)
}

const left = Array.from({ length: connections }).values()
await Promise.all(Array.from({ length: atATime }, () => openSome(left)))
process.stdout.write('{"msg":"open"}\n')
