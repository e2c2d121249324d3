import { EventEmitter } from 'node:events'
import { luaCommand } from '@ipfleet/redis/lua-command.ts'
import type { RedisLink } from '@ipfleet/redis/redis-link.ts'
import type { Subscriber } from '@ipfleet/redis/subscriber.ts'
import type { SiteBench } from './site-benches.ts'

const holdBench = luaCommand(new URL('hold-bench.lua', import.meta.url))
const endBench = luaCommand(new URL('end-bench.lua', import.meta.url))
const readBenches = luaCommand(new URL('read-benches.lua', import.meta.url))

const maxKept = 10_000

type BenchKind = 'out' | 'site'

interface SharedBenchesEvents {
  /** An address is out for so long from now; 0: no longer. */
  out: [id: string, remainingMs: number]
  siteBench: [bench: SiteBench]
  /** Redis is back, perhaps empty: what this replica still holds must be published again. */
  returned: []
}

interface Change {
  readonly kind: BenchKind
  readonly member: string
  readonly remainingMs: number
}

/**
 * Shares findings about source addresses with the fleet, by address. No caller waits for Redis and nothing fails here:
 * without Redis each replica uses its own findings.
 */
export class SharedBenches extends EventEmitter<SharedBenchesEvents> {
  readonly #link: RedisLink
  readonly #subscriber: Subscriber
  /** Members: `address`, `address site`; scores: until when (milliseconds since 1970, by Redis). */
  readonly #keys: Readonly<Record<BenchKind, string>>
  /** Each change, as JSON: `{kind, member, remainingMs}`; 0: it is over. */
  readonly #channel: string
  readonly #onUp = (): void => this.#rejoin()
  #unsubscribe: (() => void) | undefined
  #isClosed = false

  constructor(link: RedisLink, subscriber: Subscriber) {
    super()
    this.#link = link
    this.#subscriber = subscriber
    const { names } = link
    this.#keys = { out: names.key('egress', 'sources', 'out'), site: names.key('egress', 'sources', 'sites') }
    this.#channel = names.channel('egress:sources')
  }

  /** Resolves when the findings of the fleet are known, or Redis did not answer within its deadline. */
  async start(): Promise<void> {
    this.#link.on('up', this.#onUp)
    this.#subscriber.onGap(() => void this.#read())
    this.#unsubscribe = await this.#subscriber.subscribe(this.#channel, (message) => this.#hear(message))
    if (this.#isClosed) this.#unsubscribe()
    await this.#read()
  }

  holdOut(id: string, durationMs: number): void {
    void this.#hold('out', id, durationMs)
  }

  endOut(id: string): void {
    this.#link.lua(endBench, [this.#keys.out], [id, this.#channel, 'out']).catch(() => {
      // It expires.
    })
  }

  /** Sent one after the other, so that many do not delay other commands. */
  async holdSites(benches: readonly SiteBench[]): Promise<void> {
    for (const { id, site, remainingMs } of benches) await this.#hold('site', `${id} ${site}`, remainingMs)
  }

  close(): void {
    this.#isClosed = true
    this.removeAllListeners()
    this.#link.off('up', this.#onUp)
    this.#unsubscribe?.()
  }

  async #hold(kind: BenchKind, member: string, durationMs: number): Promise<void> {
    try {
      const args = [member, Math.ceil(durationMs), maxKept, this.#channel, kind]
      await this.#link.lua(holdBench, [this.#keys[kind]], args)
    } catch {
      // This process holds it anyway, and publishes it again when Redis is back.
    }
  }

  #rejoin(): void {
    this.emit('returned')
    void this.#read()
  }

  /** Reads what was missed before the start, or while the subscription was lost. */
  async #read(): Promise<void> {
    try {
      const reply = await this.#link.lua(readBenches, [this.#keys.out, this.#keys.site], [maxKept])
      const [out, sites] = reply as [(string | number)[], (string | number)[]]
      this.#learn('out', out)
      this.#learn('site', sites)
    } catch {
      // Read again when Redis is back.
    }
  }

  #learn(kind: BenchKind, members: readonly (string | number)[]): void {
    for (let index = 0; index < members.length; index += 2) {
      this.#tell({ kind, member: String(members[index]), remainingMs: Number(members[index + 1]) })
    }
  }

  #hear(message: string): void {
    const change = changeIn(message)
    if (change !== undefined) this.#tell(change)
  }

  #tell({ kind, member, remainingMs }: Change): void {
    if (kind === 'out') this.emit('out', member, remainingMs)
    const [id, site] = member.split(' ')
    if (kind === 'site' && id !== undefined && site !== undefined) this.emit('siteBench', { id, site, remainingMs })
  }
}

/** Undefined for a message of another version. */
function changeIn(message: string): Change | undefined {
  try {
    const change = JSON.parse(message) as Change | null
    const isChange = typeof change?.member === 'string' && Number.isFinite(change.remainingMs)
    return isChange ? change : undefined
  } catch {
    return undefined
  }
}
