import { type Clock, monotonicClock } from '@ipfleet/core/clock.ts'
import type { ApiKey } from '@ipfleet/key-pool/api-key.ts'
import type { RedisLink } from '@ipfleet/redis/redis-link.ts'
import type { Reply } from '@ipfleet/upstream/reply.ts'
import { featuresOfAccount } from './quota-account.ts'

/**
 * What a key's account says when a refusal does not tell whom it is about. `known`: upstream knows the key, and perhaps
 * tells which products its plan has; `unsettled`: upstream gave no answer just now.
 */
export type Standing =
  | { readonly kind: 'known'; readonly products?: readonly string[] }
  | { readonly kind: 'refused' }
  | { readonly kind: 'unsettled' }

export interface KeyCheckDeps {
  /** Asks `/me` once with the key. It costs nothing. */
  readonly ask: (key: ApiKey) => Promise<Reply>
  /** Undefined: this replica is alone. */
  readonly link: RedisLink | undefined
  readonly clock?: Clock
}

/** A key is asked about at most once in that time, by the whole fleet. */
const believedMs = 60_000
/** The replica that asks has answered, or will not. */
const askingMs = 6000

const unsettled: Standing = { kind: 'unsettled' }

/** Settles whether upstream knows a key, with one `/me` a minute for the fleet. */
export class KeyCheck {
  readonly #deps: KeyCheckDeps
  readonly #clock: Clock
  readonly #known = new Map<string, { readonly standing: Standing; readonly untilMs: number }>()
  readonly #underWay = new Map<string, Promise<Standing>>()

  constructor(deps: KeyCheckDeps) {
    this.#deps = deps
    this.#clock = deps.clock ?? monotonicClock
  }

  /** Never throws. */
  async standingOf(key: ApiKey): Promise<Standing> {
    const known = this.#known.get(key.id)
    if (known && known.untilMs > this.#clock.nowMs()) return known.standing
    const settle = (): Promise<Standing> => this.#settle(key).finally(() => this.#underWay.delete(key.id))
    return this.#underWay.getOrInsertComputed(key.id, settle)
  }

  async #settle(key: ApiKey): Promise<Standing> {
    const shared = await this.#claim(key.id)
    if (shared !== 'ours') return shared
    const standing = standingIn(await this.#deps.ask(key))
    const forMs = standing.kind === 'unsettled' ? 1000 : believedMs
    this.#known.set(key.id, { standing, untilMs: this.#clock.nowMs() + forMs })
    await this.#tell(key.id, standing, forMs)
    return standing
  }

  /** What another replica has found out; `ours`: it is for this one to ask. */
  async #claim(id: string): Promise<Standing | 'ours'> {
    const { link } = this.#deps
    if (!link) return 'ours'
    const key = standingKey(link, id)
    try {
      const before = await link.run((client) => client.set(key, 'asking', 'PX', askingMs, 'NX', 'GET'))
      if (before === null) return 'ours'
      return before === 'asking' ? await this.#awaitOther(link, key) : parsed(before)
    } catch {
      return 'ours'
    }
  }

  async #awaitOther(link: RedisLink, key: string): Promise<Standing> {
    const untilMs = this.#clock.nowMs() + 2000
    while (this.#clock.nowMs() < untilMs) {
      await new Promise((resolve) => setTimeout(resolve, 50))
      const told = await link.run((client) => client.get(key))
      if (told !== 'asking') return told === null ? unsettled : parsed(told)
    }
    return unsettled
  }

  async #tell(id: string, standing: Standing, forMs: number): Promise<void> {
    try {
      const { link } = this.#deps
      await link?.run((client) => client.set(standingKey(link, id), JSON.stringify(standing), 'PX', forMs))
    } catch {
      // The others ask for themselves.
    }
  }
}

const standingKey = ({ names }: RedisLink, id: string): string => names.key('standing', id)

function parsed(text: string): Standing {
  try {
    return JSON.parse(text) as Standing
  } catch {
    return unsettled
  }
}

function standingIn(reply: Reply): Standing {
  if (reply.kind === 'denied') return { kind: 'refused' }
  // A key that is over a limit is a known one.
  if (reply.kind === 'limited') return { kind: 'known' }
  if (reply.kind === 'failed' || reply.answer.status !== 200) return unsettled
  const products = featuresOfAccount(reply.answer)?.map(({ product }) => product)
  return { kind: 'known', ...(products && { products }) }
}
