import { luaCommand } from '@ipfleet/redis/lua-command.ts'
import type { RedisLink } from '@ipfleet/redis/redis-link.ts'
import { indexKey, recordKey } from './presence.ts'
import type { PresenceRecord, SeenRecord } from './presence-record.ts'

const readIndex = luaCommand(new URL('read-presence.lua', import.meta.url))

/** Who is there, or was within the last hour. @throws RedisUnavailable */
export async function readPresence(link: RedisLink): Promise<SeenRecord[]> {
  const [now, ...seen] = (await link.lua(readIndex, [indexKey(link)], [])) as string[]
  const ids = seen.filter((_, index) => index % 2 === 0)
  if (ids.length === 0) return []
  const texts = await link.run((client) => client.mget(ids.map((id) => recordKey(link, id))))
  return texts.flatMap((text, index) => {
    const record = text === null ? undefined : recordIn(text)
    return record ? [{ ...record, seenMsAgo: Number(now) - Number(seen[2 * index + 1]) }] : []
  })
}

/** Undefined for what is none: one record must not hide the others. */
function recordIn(text: string): PresenceRecord | undefined {
  try {
    return JSON.parse(text) as PresenceRecord
  } catch {
    return undefined
  }
}
