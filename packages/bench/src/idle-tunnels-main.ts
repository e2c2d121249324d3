import { askForTunnel, isOpen } from './tunnel-client.ts'

/**
 * Tunnels that have had one round trip each and stay: node idle-tunnels-main.ts PORT TUNNELS TARGET…
 *
 * The targets, which send back what they get, are taken in turn. Prints {"msg":"open"} when all tunnels stand. Ends
 * with a sentence and code 1 when one of them is closed.
 */

const [port = '0', tunnels = '0', ...targets] = process.argv.slice(2)
const atATime = 100
const word = 'ping'

async function openSome(left: Iterable<number>): Promise<void> {
  for (const index of left) await openOne(targets[index % targets.length] ?? '')
}

function openOne(target: string): Promise<void> {
  return new Promise((resolve) => {
    const socket = askForTunnel(Number(port), target)
    let answer = ''
    socket.once('error', ({ message }) => giveUp(message))
    socket.once('close', () => giveUp('a tunnel was closed'))
    socket.setEncoding('latin1').on('data', (part: string) => {
      answer += part
      if (isOpen(answer)) socket.write(word)
      else if (answer.endsWith(word)) resolve()
      else if (!answer.startsWith('HTTP/1.1 200 ')) giveUp(`the proxy answered ${answer.split('\r\n', 1).join('')}`)
    })
  })
}

function giveUp(why: string): never {
  process.stderr.write(`${why}\n`)
  process.exit(1)
}

const left = Array.from({ length: Number(tunnels) }).keys()
await Promise.all(Array.from({ length: atATime }, () => openSome(left)))
process.stdout.write('{"msg":"open"}\n')
