import { connect } from 'node:net'

/**
 * `node idle-clients.ts PORT COUNT`: as many clients, each of which asks once, reads its answer and then stays, saying
 * nothing. Prints a line when all have their answer, and one with the number of those that are still connected when
 * its input ends.
 */
const [port = 0, count = 0] = process.argv.slice(2).map(Number)
const atOnce = 100
let answered = 0
let open = 0
let begun = 0

function begin(): void {
  if (begun === count) return
  begun += 1
  const socket = connect({ port, host: '127.0.0.1' })
  socket.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n')
  socket.once('data', () => {
    answered += 1
    if (answered === count) process.stdout.write(`answered ${answered}\n`)
    begin()
  })
  socket.on('connect', () => (open += 1))
  socket.on('error', () => {})
  socket.on('close', () => (open -= 1))
}

for (let client = 0; client < atOnce; client += 1) begin()
process.stdin.on('end', () => process.stdout.write(`open ${open}\n`)).resume()
