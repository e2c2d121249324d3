import { randomUUID } from 'node:crypto'
import { luaCommand } from '@ipfleet/redis/lua-command.ts'
import type { RedisLink } from '@ipfleet/redis/redis-link.ts'

/** Whose turn it is to ask the source of a database for a newer one. */
export interface RenewalTurns {
  /** @param version of the file that the caller has. @returns 0 if it may ask now, else how many ms to wait */
  claim(version: string | undefined): Promise<number>
  /** Keeps the turn for as long as the work takes. */
  prolong(): Promise<void>
  /** Ends the turn. @param pauseMs until the next try of the fleet */
  report(pauseMs: number, version: string | undefined): Promise<void>
}

/** Of a replica on its own, whose record in the directory says when the next try is due. */
export const turnsAlone: RenewalTurns = {
  claim: async () => 0,
  prolong: async () => {},
  report: async () => {},
}

export const leaseMs = 60_000
/** The data that there are answer meanwhile. */
const withoutRedisMs = 60_000

const claimRenewal = luaCommand(new URL('claim-renewal.lua', import.meta.url))
const reportRenewal = luaCommand(new URL('report-renewal.lua', import.meta.url))

/** Lease, version and time of the next try are in Redis; files are not. While Redis is away nothing is asked. */
export class RedisRenewalTurns implements RenewalTurns {
  readonly #link: RedisLink
  readonly #key: string
  readonly #holder = randomUUID()

  /** @param source names the source and how it is asked, in a form that may be seen */
  constructor(link: RedisLink, source: string) {
    this.#link = link
    this.#key = link.names.key('offline', 'renewal', source)
  }

  async claim(version: string | undefined): Promise<number> {
    try {
      const reply = await this.#link.lua(claimRenewal, [this.#key], [this.#holder, leaseMs, version ?? ''])
      const [granted, waitMs] = reply as [granted: number, waitMs: number]
      return granted === 1 ? 0 : Math.max(1, waitMs)
    } catch {
      return withoutRedisMs
    }
  }

  async prolong(): Promise<void> {
    await this.claim(undefined)
  }

  async report(pauseMs: number, version: string | undefined): Promise<void> {
    // If it is lost, the lease ends by itself, and the record in the directory holds the next try back.
    await this.#link.lua(reportRenewal, [this.#key], [this.#holder, pauseMs, version ?? '']).catch(() => {})
  }
}
