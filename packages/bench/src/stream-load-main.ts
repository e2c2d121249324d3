import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import type { TunnelLoad, TunnelLoadResult } from './tunnel-loads.ts'
import { askForTunnel } from './tunnel-client.ts'

/**
 * Reads through one tunnel, as fast as it can, what an origin sends without end:
 * node stream-load-main.ts '{"proxyPort":…,"targets":[…],"seconds":…}'
 */

const load: TunnelLoad = JSON.parse(process.argv[2] ?? '{}')
/** One buffer for everything, so that reading costs as little as it can. */
const buffer = Buffer.allocUnsafe(1024 * 1024)
let bytes = 0

const socket = askForTunnel(load.proxyPort, load.targets[0] ?? '', {
  buffer,
  callback: (length) => {
    bytes += length
    return true
  },
})
const over = once(socket, 'close')
await once(socket, 'connect')
const startedMs = performance.now()
await Promise.race([sleep(load.seconds * 1000), over])
const seconds = (performance.now() - startedMs) / 1000
const result: TunnelLoadResult = { amount: bytes, errors: socket.destroyed ? 1 : 0, seconds }
process.stdout.write(`${JSON.stringify(result)}\n`)
socket.destroy()
