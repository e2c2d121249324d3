import { setTimeout as sleep } from 'node:timers/promises'
import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'

/** How long answers are held back, so that commands which are sent together are seen to be. */
const delayMs = 5

/** Stands between a replica and Redis and counts how often the replica waits for it. */
export interface RedisWaits {
  /** On 127.0.0.1. */
  readonly port: number
  /** Commands since the start that were sent while no other was under way on their connection. */
  readonly count: number
  close(): void
}

export async function countRedisWaits(redisPort: number): Promise<RedisWaits> {
  const sockets = new Set<Socket>()
  let count = 0
  const server = createServer({ noDelay: true }, (client) => {
    const redis = connect({ port: redisPort, host: '127.0.0.1', noDelay: true })
    let isWaiting = false
    client.on('data', (bytes) => {
      if (!isWaiting) count += 1
      isWaiting = true
      redis.write(bytes)
    })
    redis.on('data', async (bytes) => {
      await sleep(delayMs)
      isWaiting = false
      client.write(bytes)
    })
    for (const socket of [client, redis]) {
      sockets.add(socket)
      socket.on('error', () => {}).on('close', () => [client, redis].forEach((each) => each.destroy()))
    }
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    port: (server.address() as AddressInfo).port,
    get count() {
      return count
    },
    close: () => {
      server.close()
      for (const socket of sockets) socket.destroy()
    },
  }
}
