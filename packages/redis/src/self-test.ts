import { Cluster, type Redis } from 'ioredis'
import type { FleetNames } from './fleet-names.ts'
import { callLua, luaCommand } from './lua-command.ts'
import { modeProblem, problemOf, type RedisPlace, type RedisProblem } from './redis-problem.ts'

const selfTestCommand = luaCommand(new URL('self-test.lua', import.meta.url))

/** A command, or a library of Lua. Each is one that `self-test.lua` knows how to try. */
export type RedisNeed = string

/** Has the server do what is needed, in one step that leaves nothing. @returns what is wrong with it, if anything */
export async function selfTest(
  client: Redis,
  names: FleetNames,
  needs: readonly RedisNeed[],
  place: RedisPlace,
): Promise<RedisProblem | undefined> {
  if (place.isCluster) await reachMasters(client)
  if (needs.length === 0) {
    await client.ping()
    return undefined
  }
  const key = names.key('self-test', 'self-test')
  // In one round trip, so that a server passes which is as far away as one command allows.
  const tried = callLua(client, 'text', selfTestCommand, [key], [names.channel('self-test'), ...needs])
  tried.catch(() => {})
  const problem = modeProblem(await modeOf(client), place)
  if (problem) return problem
  const reply = await tried
  const texts = Array.isArray(reply) ? reply.map(String) : []
  for (let at = 0; at < texts.length; at += 2) {
    const refusal = problemOf(new Error(texts[at + 1]), place, texts[at])
    if (refusal) return refusal
  }
  return undefined
}

/** ioredis 6.0.0 connects to a node of a Cluster when it first has a command for it, which then waits or fails. */
async function reachMasters(client: Redis): Promise<void> {
  await Promise.all(mastersOf(client).map((node) => node.ping()))
}

/** Connections to the masters of a Cluster; none, if it is none. */
export function mastersOf(client: Redis): readonly Redis[] {
  const cluster: unknown = client
  return cluster instanceof Cluster ? cluster.nodes('master') : []
}

/** `standalone`, `cluster` or `sentinel`. HELLO is what every user may, from Redis 6 on. */
async function modeOf(client: Redis): Promise<string> {
  const reply: unknown = await client.call('HELLO').catch(() => [])
  if (!Array.isArray(reply)) return ''
  return String(reply[reply.indexOf('mode') + 1])
}
