import { readFile } from 'node:fs/promises'
import type { RedisObserver } from './redis-observer.ts'
import { until } from './until.ts'

const password = 'PASSWORD'

/** A server, or all nodes of a Cluster. */
interface Caller {
  call(name: string, ...args: readonly string[]): Promise<unknown>
}

/** Makes the user that a service's README tells, who has the service's name and may do no more than it needs. */
export async function makeReadmeUser(server: Caller, service: string): Promise<void> {
  const readme = await readFile(new URL(`../../../services/${service}/README.md`, import.meta.url), 'utf8')
  const [rule] = /^ACL SETUSER .*$/m.exec(readme) ?? []
  if (rule === undefined) throw new Error(`the README of ${service} tells no user`)
  await server.call(...(rule.split(' ') as [string]))
}

/** Makes a user `nobody`, who may do nothing at all. */
export async function makeNobody(observer: RedisObserver): Promise<void> {
  await observer.call('ACL', 'SETUSER', 'nobody', 'on', `>${password}`, '~*', '&*', '-@all')
}

/** The URL of a server, for one of these users. */
export function urlOf(user: string, url: string, secret = password): string {
  return url.replace('//', `//${user}:${secret}@`)
}

/** Refused commands a second, seen over the next three of them. A client that spins makes thousands. */
export async function refusedASecond(observer: RedisObserver): Promise<number> {
  const begun = await refused(observer)
  const startMs = performance.now()
  const more = await until(async () => {
    const count = (await refused(observer)) - begun
    return count >= 3 && count
  }, 30_000)
  return more / ((performance.now() - startMs) / 1000)
}

async function refused(observer: RedisObserver): Promise<number> {
  const stats = String(await observer.call('INFO', 'commandstats'))
  return [...stats.matchAll(/(?:rejected|failed)_calls=(\d+)/g)].reduce((sum, [, count]) => sum + Number(count), 0)
}
