import { createServer } from 'node:http'
import { gracefulClose } from '../src/graceful-close.ts'
import { listen } from '../src/listen.ts'
import { onSignals } from '../src/on-signals.ts'

// Run by graceful-close.test.ts: a server that stops on signals. Prints its port, then what happens to it.
const [drainMs = '0', deadlineMs = '5000', failure] = process.argv.slice(2)
let ready = true
const held: (() => void)[] = []

const server = createServer((req, res) => {
  if (req.url === '/readyz') {
    res.statusCode = ready ? 200 : 503
    res.end()
  } else if (req.url === '/hold') {
    process.stdout.write('holding\n')
    held.push(() => res.end('held'))
  } else {
    // Long enough that requests are always under way when the signal comes.
    setTimeout(() => res.end('ok'), 2)
  }
})
process.on('SIGUSR2', () => {
  for (const release of held.splice(0)) release()
})
// A tunnel: nothing of node:http closes it.
server.on('upgrade', (_req, socket) => socket.write('HTTP/1.1 101 Switching Protocols\r\n\r\n'))

const port = await listen(server, { port: 0, host: '127.0.0.1' })
onSignals({
  log: { error: (_fields, message) => process.stdout.write(`${message}\n`) },
  stop: async () => {
    if (failure !== undefined) throw new Error(failure)
    await gracefulClose(server, {
      drainMs: Number(drainMs),
      deadlineMs: Number(deadlineMs),
      onDraining: () => {
        ready = false
        process.stdout.write('draining\n')
      },
    })
    process.stdout.write('closed\n')
  },
})
process.stdout.write(`port ${port}\n`)
