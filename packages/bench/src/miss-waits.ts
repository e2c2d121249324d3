import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { startReplica } from '@ipfleet/testing/service-process.ts'
import { startTestRedis } from '@ipfleet/testing/test-redis.ts'
import { countRedisWaits } from '@ipfleet/testing/redis-waits.ts'
import { median } from './statistics.ts'
import { manyTargets, warm } from './targets.ts'

/** How often a cold miss waits for Redis; medians. */
export interface MissWaits {
  readonly beforeUpstream: number
  readonly inAll: number
}

const requests = 30
/** A replica that finds nothing for a while asks for the lease with the look-up. */
const requestsBefore = 20
/** What is sent behind an answer has been sent by then. */
const behindAnswerMs = 50

/** Asks one address after the other, since the commands of two requests could not be told apart. */
export async function countMissWaits(): Promise<MissWaits> {
  await using opened = new AsyncDisposableStack()
  const redis = await startTestRedis()
  opened.defer(() => redis.stop())
  const waits = await countRedisWaits(redis.port)
  opened.defer(() => waits.close())
  let atUpstream = 0
  const upstream = createServer((req, res) => {
    atUpstream = waits.count
    res.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify({ ip: req.url?.slice(1) }))
  })
  upstream.listen(0, '127.0.0.1')
  await once(upstream, 'listening')
  opened.defer(() => void upstream.close())
  const replica = await startReplica({
    IPINFO_KEYS: 'bench-key-1,bench-key-2',
    IPINFO_BASE_URL: `http://127.0.0.1:${(upstream.address() as AddressInfo).port}`,
    REDIS_URL: `redis://127.0.0.1:${waits.port}`,
    QUOTA_POLL_SECONDS: '0',
  })
  opened.defer(async () => void (await replica.stop()))
  const counts: { readonly before: number; readonly all: number }[] = []
  const targets = manyTargets(requestsBefore + requests)
  await warm(replica.url, targets.slice(0, requestsBefore))
  for (const target of targets.slice(requestsBefore)) {
    const start = waits.count
    await warm(replica.url, [target])
    await sleep(behindAnswerMs)
    counts.push({ before: atUpstream - start, all: waits.count - start })
  }
  return { beforeUpstream: median(counts.map(({ before }) => before)), inAll: median(counts.map(({ all }) => all)) }
}
