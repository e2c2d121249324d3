import { createHash } from 'node:crypto'
import { forgetOldest } from '@ipfleet/core/forget-oldest.ts'
import { isRecord, parseJson } from '@ipfleet/core/json.ts'
import type { RedisLink } from '@ipfleet/redis/redis-link.ts'
import { RedisUnavailable } from '@ipfleet/redis/redis-unavailable.ts'

/** What is kept of a session. Its id is not: the key is a hash of it. */
export interface StoredSession {
  /** Of the token that began it, keyed by the id: it proves that the token is still the same, and tells nothing else. */
  readonly proof: string
  /** Milliseconds since 1970. */
  readonly createdMs: number
}

interface Remembered {
  readonly session: StoredSession
  usedMs: number
  provenMs: number
  extendedMs: number
  /** Redis was away when it began. */
  isUnsaved: boolean
}

export interface SessionStoreOptions {
  /** Where the replicas share sessions. Undefined: this one keeps them. */
  readonly link: RedisLink | undefined
  readonly epochMs: () => number
}

export const sessionIdleMs = 8 * 3_600_000
export const sessionLifeMs = 24 * 3_600_000
/** A stopped Redis logs no operator out so soon: this is when the console is needed. */
const rememberedMs = 15 * 60_000
const extendEveryMs = 60_000
const maxRemembered = 1000

/** Sessions in Redis; those of which this replica has seen a proof lately also while Redis is away. */
export class SessionStore {
  readonly #link: RedisLink | undefined
  readonly #epochMs: () => number
  readonly #remembered = new Map<string, Remembered>()
  /** Ended while Redis was away. */
  readonly #ended = new Set<string>()

  constructor({ link, epochMs }: SessionStoreOptions) {
    this.#link = link
    this.#epochMs = epochMs
    link?.on('up', () => void this.#forgetEnded())
  }

  async save(id: string, session: StoredSession): Promise<void> {
    const one = this.#remember(id, session)
    one.isUnsaved = !(await this.#write(id, session))
  }

  /** @param isUse whether it begins the idle time anew */
  async find(id: string, isUse: boolean): Promise<StoredSession | undefined> {
    if (this.#ended.has(id)) return undefined
    const found = await this.#read(id)
    const nowMs = this.#epochMs()
    if (!found || nowMs >= found.session.createdMs + sessionLifeMs) {
      this.#remembered.delete(id)
      return undefined
    }
    if (isUse) await this.#extend(id, found, nowMs)
    return found.session
  }

  async remove(id: string): Promise<void> {
    this.#remembered.delete(id)
    if (this.#link === undefined) return
    this.#ended.add(id)
    await this.#forget(id)
  }

  async #read(id: string): Promise<Remembered | undefined> {
    const held = this.#remembered.get(id)
    const nowMs = this.#epochMs()
    const isFresh = held !== undefined && nowMs < held.usedMs + sessionIdleMs
    const link = this.#link
    if (!link) return isFresh ? held : undefined
    try {
      const text = await link.run((client) => client.get(this.#key(link, id)))
      const stored = text === null ? undefined : sessionIn(text)
      if (stored) {
        const one = held ?? this.#remember(id, stored)
        one.provenMs = nowMs
        return one
      }
      if (!isFresh || !held?.isUnsaved) return undefined
      held.isUnsaved = !(await this.#write(id, held.session))
      return held
    } catch (error) {
      if (!(error instanceof RedisUnavailable)) throw error
      return isFresh && (held.isUnsaved || nowMs < held.provenMs + rememberedMs) ? held : undefined
    }
  }

  async #extend(id: string, one: Remembered, nowMs: number): Promise<void> {
    one.usedMs = nowMs
    if (nowMs < one.extendedMs + extendEveryMs) return
    one.extendedMs = nowMs
    const link = this.#link
    const leftMs = Math.min(sessionIdleMs, one.session.createdMs + sessionLifeMs - nowMs)
    await link?.run((client) => client.pexpire(this.#key(link, id), Math.ceil(leftMs))).catch(() => {})
  }

  async #write(id: string, session: StoredSession): Promise<boolean> {
    const link = this.#link
    if (!link) return true
    try {
      await link.run((client) => client.set(this.#key(link, id), JSON.stringify(session), 'PX', sessionIdleMs))
      return true
    } catch {
      return false
    }
  }

  #remember(id: string, session: StoredSession): Remembered {
    const nowMs = this.#epochMs()
    const one = { session, usedMs: nowMs, provenMs: nowMs, extendedMs: nowMs, isUnsaved: false }
    this.#remembered.set(id, one)
    forgetOldest(this.#remembered, maxRemembered)
    return one
  }

  async #forgetEnded(): Promise<void> {
    for (const id of this.#ended) await this.#forget(id)
  }

  /** Never rejects: what could not be deleted is tried again when Redis is back. */
  async #forget(id: string): Promise<void> {
    const link = this.#link
    try {
      await link?.run((client) => client.del(this.#key(link, id)))
      this.#ended.delete(id)
    } catch {
      // It stays among the ended.
    }
  }

  #key({ names }: RedisLink, id: string): string {
    return names.subjectKey('console-session', createHash('sha256').update(id).digest('base64url'))
  }
}

/** Undefined for what is none. */
function sessionIn(text: string): StoredSession | undefined {
  const value = parseJson(text)
  if (!isRecord(value)) return undefined
  const { proof, createdMs } = value
  return typeof proof === 'string' && typeof createdMs === 'number' ? { proof, createdMs } : undefined
}
