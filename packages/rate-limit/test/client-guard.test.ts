import { IncomingMessage, ServerResponse } from 'node:http'
import { Socket } from 'node:net'
import { expect, test } from '@jest/globals'
import type { RedisLink } from '@ipfleet/redis/redis-link.ts'
import { startTestRedis } from '@ipfleet/testing/test-redis.ts'
import { until } from '@ipfleet/testing/until.ts'
import type { ClientGuard } from '../src/clients/client-guard.ts'
import { createClientGuard } from '../src/clients/create-client-guard.ts'
import { fleetLink, whenDown } from './fleet-link.ts'

const secret = 'one-client-token'
const tokens = [{ secret, units: { kind: 'sliding-window', limit: 20, windowMs: 86_400_000 } }] as const

function guardOn(link: RedisLink): ClientGuard {
  return createClientGuard({ tokens, link, service: 'lookup' }) as ClientGuard
}

/** @returns what its answer says is left */
async function get(guard: ClientGuard): Promise<unknown> {
  const req = new IncomingMessage(new Socket())
  Object.assign(req, { method: 'GET', url: '/8.8.8.8', headers: { authorization: `Bearer ${secret}` } })
  const res = new ServerResponse(req)
  await guard.admit(req, res)
  return res.getHeader('RateLimit')
}

test('while Redis is away a replica lets as many requests be under way as it has units of its share', async () => {
  const redis = await startTestRedis()
  const links = [await fleetLink(redis.url, 'replica-0'), await fleetLink(redis.url, 'replica-1')]
  const guards: ClientGuard[] = []
  try {
    for (const link of links) {
      guards.push(guardOn(link))
      // The first one brings the script. So the second is counted, and told so, before the ping behind it is answered.
      await until(() => link.run((client) => client.exists(link.names.key('members', 'lookup'))).then(Boolean))
      await link.run((client) => client.ping())
    }
    await redis.kill()
    await Promise.all(links.map(whenDown))
    const answers = await Promise.all(Array.from({ length: 10 }, () => get(guards[1] as ClientGuard)))
    // Half of the 20: it knows that they are two.
    expect(new Set(answers)).toEqual(new Set([expect.stringContaining('"units";r=10;')]))
    expect(guards[1]?.counts).toMatchObject({ admitted: 10, over_units: 0 })
  } finally {
    for (const guard of guards) await guard.close()
    for (const link of links) link.close()
    await redis.stop()
  }
})
