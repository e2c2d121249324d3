import { luaCommand } from '@ipfleet/redis/lua-command.ts'
import type { RedisLink } from '@ipfleet/redis/redis-link.ts'
import { type PresenceRecord, processFacts } from './presence-record.ts'

const notePresence = luaCommand(new URL('note-presence.lua', import.meta.url))

const everyMs = 5000
/** Not seen for so long, it is gone. */
export const goneAfterMs = 3.5 * everyMs
const rememberedMs = 3_600_000

export interface PresenceOptions extends Pick<PresenceRecord, 'id' | 'service'> {
  readonly link: RedisLink
  /** The rest, as it is now. */
  readonly describe: () => Promise<Omit<PresenceRecord, 'id' | 'service' | keyof ReturnType<typeof processFacts>>>
}

/** Tells the fleet every five seconds that this process is there, and how it is. Without Redis no one is told. */
export class Presence {
  readonly #options: PresenceOptions
  readonly #timer: NodeJS.Timeout
  readonly #tell = (): void => void this.#note()
  #closed = false

  constructor(options: PresenceOptions) {
    this.#options = options
    this.#timer = setInterval(this.#tell, everyMs).unref()
    options.link.on('up', this.#tell)
    this.#tell()
  }

  /** One that ends by itself is not missed. */
  async close(): Promise<void> {
    this.#closed = true
    clearInterval(this.#timer)
    const { link, id } = this.#options
    link.off('up', this.#tell)
    await link.run((client) => client.zrem(indexKey(link), id)).catch(() => {})
  }

  async #note(): Promise<void> {
    const { link, describe, id, service } = this.#options
    try {
      const details = await describe()
      if (this.#closed || !link.up) return
      const record: PresenceRecord = { id, service, ...processFacts(), ...details }
      await link.lua(notePresence, [indexKey(link), recordKey(link, id)], [id, JSON.stringify(record), rememberedMs])
    } catch {
      // The next one tells it.
    }
  }
}

export const indexKey = ({ names }: RedisLink): string => names.key('presence', 'presence')
export const recordKey = ({ names }: RedisLink, id: string): string => names.key('presence', 'presence', id)
