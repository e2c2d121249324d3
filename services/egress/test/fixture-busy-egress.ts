/**
 * A proxy with the addresses that it is given, checked twice a second, and somebody who always asks for something. Says
 * when an address goes out or returns, and which ones all of ten requests left from; a request that fails is an end.
 */

import { RecordingOrigin } from './recording-origin.ts'
import { startEgress } from './start-egress.ts'
import { askThrough } from './through.ts'

const origin = await RecordingOrigin.start()
const egress = await startEgress({ IP_POOL: process.argv[2] ?? '', HEALTH_CHECK_INTERVAL_SECONDS: '0.5' })
process.on('SIGTERM', () => void egress.stop().then(() => process.exit(0)))

let said = 0
for (;;) {
  const sources = new Set<string>()
  for (let turn = 0; turn < 10; turn += 1) {
    const { status, headers } = await askThrough(egress.port, origin.url)
    if (status !== 200) throw new Error(`answered ${status}: ${String(headers['proxy-status'])}`)
    sources.add(String(headers['x-egress-ip']))
  }
  for (const { msg, source, reason } of egress.lines().slice(said)) {
    if (String(msg).startsWith('source address')) process.stdout.write(`${[msg, source, reason].join(' ').trim()}\n`)
  }
  said = egress.lines().length
  process.stdout.write(`used: ${[...sources].toSorted().join(' ')}\n`)
}
