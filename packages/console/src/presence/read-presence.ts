import { luaCommand } from '@ipfleet/redis/lua-command.ts'
import type { RedisLink } from '@ipfleet/redis/redis-link.ts'
import { indexKey, recordKey } from './presence.ts'
import type { SeenRecord } from './presence-record.ts'
import { recordIn } from './record-in.ts'

const readIndex = luaCommand(new URL('read-presence.lua', import.meta.url))

/** Who is there, or was within the last hour, by their ids. @throws RedisUnavailable */
export async function readPresence(link: RedisLink): Promise<SeenRecord[]> {
  const [now, ...seen] = (await link.lua(readIndex, [indexKey(link)], [])) as string[]
  const ids = seen.filter((_, index) => index % 2 === 0)
  if (ids.length === 0) return []
  const texts = await link.run((client) => client.mget(ids.map((id) => recordKey(link, id))))
  const records = texts.flatMap((text, index) => {
    const record = text === null ? undefined : recordIn(ids[index] ?? '', text)
    return record ? [{ ...record, seenMsAgo: Number(now) - Number(seen[2 * index + 1]) }] : []
  })
  return records.toSorted((one, other) => (one.id < other.id ? -1 : 1))
}
