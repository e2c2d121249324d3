import { type LuaArgument, type LuaCommand, luaCommand } from '@ipfleet/redis/lua-command.ts'
import type { RedisLink } from '@ipfleet/redis/redis-link.ts'
import { landedChannel, leaseKey, outcomeKey } from './flight-keys.ts'

const claimLeases = luaCommand(new URL('claim-leases.lua', import.meta.url))
const extendLeases = luaCommand(new URL('extend-leases.lua', import.meta.url))
const releaseLeases = luaCommand(new URL('release-leases.lua', import.meta.url))
const publishOutcomes = luaCommand(new URL('publish-outcomes.lua', import.meta.url))

/** What came of claiming a subject. The outcome of a held one is an earlier flight's. */
export type Claim =
  | { readonly kind: 'leased' }
  | { readonly kind: 'landed'; readonly outcome: Buffer }
  | { readonly kind: 'held'; readonly outcome: Buffer | undefined }

export interface LandedOutcome {
  readonly subject: string
  readonly bytes: Buffer
  /** How long it stays for those who come late. */
  readonly keepMs: number
}

/** Leases and outcomes of many subjects at once; the leases are those of `Leases`. */
export interface Claims {
  readonly lifeMs: number
  /**
   * One claim for each subject, in their order. `evenIfLanded`: what has landed is of no use, lease it all the same.
   * @throws RedisUnavailable; some may have been leased all the same
   */
  claim(subjects: readonly string[], token: string, evenIfLanded: boolean): Promise<Claim[]>
  /** Prolongs what is still ours by its full life. Never fails: a lost lease shows when its outcome is published. */
  extend(subjects: readonly string[], token: string): Promise<void>
  /** Gives back what is still ours. Never fails: a lease that is not given back runs out. */
  release(subjects: readonly string[], token: string): Promise<void>
  /** The subjects whose outcome was published: their lease was not lost meanwhile. @throws RedisUnavailable */
  publish(outcomes: readonly LandedOutcome[], token: string): Promise<ReadonlySet<string>>
}

/** Subjects of one command: some hundred microseconds of Redis's time, which nobody else gets meanwhile. */
const subjectsPerCommand = 250
/** Bytes of one publishing command, or one outcome. */
const bytesPerCommand = 256 * 1024

/** Claims in Redis, in commands of a bounded size that are under way at the same time. */
export class RedisClaims implements Claims {
  readonly lifeMs: number
  readonly #link: RedisLink
  readonly #prefix: string

  /** @param prefix put before each subject, where the fleet knows it under a longer name */
  constructor(link: RedisLink, { lifeMs, prefix = '' }: { lifeMs: number; prefix?: string }) {
    this.lifeMs = lifeMs
    this.#link = link
    this.#prefix = prefix
  }

  async claim(subjects: readonly string[], token: string, evenIfLanded: boolean): Promise<Claim[]> {
    const commands = slices(subjects).map(async (slice) => {
      const keys = slice.flatMap((subject) => this.#keysOf(subject))
      return this.#link.luaForBytes(claimLeases, keys, [token, this.lifeMs, evenIfLanded ? 1 : 0])
    })
    const replies = (await Promise.all(commands)) as [state: number, outcome: Buffer | null][][]
    return replies.flat().map(([state, outcome]) => claimOf(state, outcome ?? undefined))
  }

  async extend(subjects: readonly string[], token: string): Promise<void> {
    await this.#withLeases(subjects, extendLeases, [token, this.lifeMs])
  }

  async release(subjects: readonly string[], token: string): Promise<void> {
    await this.#withLeases(subjects, releaseLeases, [token])
  }

  async publish(outcomes: readonly LandedOutcome[], token: string): Promise<ReadonlySet<string>> {
    const commands = bySize(outcomes).map(async (slice) => {
      const keys = slice.flatMap(({ subject }) => this.#keysOf(subject))
      const args = slice.flatMap(({ subject, bytes, keepMs }) => [bytes, keepMs, landedChannel(this.#prefix + subject)])
      const published = (await this.#link.lua(publishOutcomes, keys, [token, ...args])) as number[]
      return slice.flatMap(({ subject }, at) => (published[at] === 1 ? [subject] : []))
    })
    return new Set((await Promise.all(commands)).flat())
  }

  async #withLeases(subjects: readonly string[], command: LuaCommand, args: readonly LuaArgument[]): Promise<void> {
    const leasesOf = (slice: readonly string[]): string[] => slice.map((subject) => leaseKey(this.#prefix + subject))
    await Promise.allSettled(slices(subjects).map((slice) => this.#link.lua(command, leasesOf(slice), args)))
  }

  #keysOf(subject: string): [string, string] {
    return [leaseKey(this.#prefix + subject), outcomeKey(this.#prefix + subject)]
  }
}

function claimOf(state: number, outcome: Buffer | undefined): Claim {
  if (state === 1) return { kind: 'leased' }
  return state === 2 && outcome ? { kind: 'landed', outcome } : { kind: 'held', outcome }
}

function slices(subjects: readonly string[]): string[][] {
  const count = Math.ceil(subjects.length / subjectsPerCommand)
  return Array.from({ length: count }, (_, at) =>
    subjects.slice(at * subjectsPerCommand, (at + 1) * subjectsPerCommand),
  )
}

function bySize(outcomes: readonly LandedOutcome[]): LandedOutcome[][] {
  const commands: LandedOutcome[][] = []
  let bytes = Infinity
  for (const outcome of outcomes) {
    bytes += outcome.bytes.length
    if (bytes > bytesPerCommand || (commands.at(-1)?.length ?? 0) >= subjectsPerCommand) {
      commands.push([])
      bytes = outcome.bytes.length
    }
    commands.at(-1)?.push(outcome)
  }
  return commands
}
