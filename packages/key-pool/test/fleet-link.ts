import { once } from 'node:events'
import { RedisLink } from '@ipfleet/redis/redis-link.ts'

/** A link that is up. The deadline of a command is one that a busy test machine keeps, unless told. */
export async function fleetLink(url: string, name: string, timeoutMs = 15_000): Promise<RedisLink> {
  const link = new RedisLink({ url, name, timeoutMs })
  await whenUp(link)
  return link
}

export async function whenUp(link: RedisLink): Promise<void> {
  if (!link.up) await once(link, 'up')
}

export async function whenDown(link: RedisLink): Promise<void> {
  if (link.up) await once(link, 'down')
}
