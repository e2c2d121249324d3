import type { TunnelLoad, TunnelLoadResult } from './tunnel-loads.ts'
import { askForTunnel, isOpen } from './tunnel-client.ts'

/**
 * Opens a tunnel to an origin that sends back what it gets, has one round trip, closes it, and begins again:
 * node connect-load-main.ts '{"proxyPort":…,"targets":[…],"connections":…,"seconds":…}'
 */

const load: TunnelLoad = JSON.parse(process.argv[2] ?? '{}')
const word = 'ping'
const startedMs = performance.now()
const untilMs = startedMs + load.seconds * 1000
let turn = 0
let amount = 0
let errors = 0

async function keepOpening(): Promise<void> {
  while (performance.now() < untilMs) {
    if (await roundTrip()) amount += 1
    else errors += 1
  }
}

function roundTrip(): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = askForTunnel(load.proxyPort, load.targets[turn++ % load.targets.length] ?? '')
    let answer = ''
    let hasAsked = false
    let isGood = false
    socket.on('data', (chunk) => {
      answer += chunk.toString('latin1')
      if (!hasAsked && isOpen(answer)) {
        hasAsked = true
        answer = ''
        socket.write(word, 'latin1')
      } else if (hasAsked && answer === word) {
        isGood = true
        socket.end()
      }
    })
    socket.on('error', () => {})
    socket.on('close', () => resolve(isGood))
  })
}

await Promise.all(Array.from({ length: load.connections }, keepOpening))
const result: TunnelLoadResult = { amount, errors, seconds: (performance.now() - startedMs) / 1000 }
process.stdout.write(`${JSON.stringify(result)}\n`)
