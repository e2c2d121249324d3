/** Checks the addresses that it is given, ten times a second, and says what becomes of them and who is next. */

import { FleetClock } from '@ipfleet/redis/fleet-clock.ts'
import { readIpPool } from '../src/sources/ip-pool.ts'
import { LiveSourcePool } from '../src/sources/live-source-pool.ts'
import { createSourceCheck } from '../src/sources/source-check.ts'

const say = (line: string): boolean => process.stdout.write(`${line}\n`)
const addresses = (process.argv[2] ?? '').split(',')
const read = readIpPool(addresses)
if (read.kind === 'faults') throw new Error(read.faults.join())

const check = createSourceCheck({ url: undefined, timeoutMs: 1000 })
const pool = new LiveSourcePool(
  { entries: read.entries, rotation: 'round-robin', checkIntervalMs: 100, siteBenchMs: 0 },
  { check, clock: new FleetClock() },
)
pool.on('out', (address, reason) => say(`${address} out: ${reason}`))
pool.on('back', (address) => say(`${address} back`))
await pool.start()

function next(): string {
  const choice = pool.next({ families: [4], site: 'a.test', session: undefined, tried: [] })
  return 'kind' in choice && choice.kind === 'source' ? choice.source.address : '-'
}

setInterval(() => say(`in turn: ${addresses.map(next).join(' ')}`), 50)
say(`checked: ${addresses.join(' ')}`)
