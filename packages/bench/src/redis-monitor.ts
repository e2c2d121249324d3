import { once } from 'node:events'
import { connect } from 'node:net'
import { createInterface } from 'node:readline'

/** The commands that clients send to a Redis server, without those that scripts run inside it. */
export interface RedisMonitor {
  /** Names of the commands since the last `take`, in lower case, oldest first. */
  take(): string[]
  /** How many have come since the last `take` whose name is none of these. */
  count(except: ReadonlySet<string>): number
  close(): void
}

/** A line of MONITOR: `+1700000000.123456 [0 127.0.0.1:50000] "get" "key"`; scripts' own commands say `[0 lua]`. */
const sentByClient = /^\+[\d.]+ \[\d+ (?!lua\]).*?\] "([^"]+)"/

/** Watches a server of this machine by MONITOR. */
export async function monitorRedis(port: number): Promise<RedisMonitor> {
  const socket = connect({ port, host: '127.0.0.1' })
  await once(socket, 'connect')
  let names: string[] = []
  const lines = createInterface({ input: socket, crlfDelay: Infinity })
  const confirmed = once(lines, 'line')
  socket.write('MONITOR\r\n')
  await confirmed
  lines.on('line', (line) => {
    const name = sentByClient.exec(line)?.[1]
    if (name !== undefined) names.push(name.toLowerCase())
  })
  return {
    take() {
      const taken = names
      names = []
      return taken
    },
    count: (except) => names.filter((name) => !except.has(name)).length,
    close: () => socket.destroy(),
  }
}
