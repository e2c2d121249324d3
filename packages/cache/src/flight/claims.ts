import { type LuaArgument, type LuaCommand, luaCommand } from '@ipfleet/redis/lua-command.ts'
import { packedValues } from '@ipfleet/redis/packed-values.ts'
import type { RedisLink } from '@ipfleet/redis/redis-link.ts'
import { type FlightNames, flightNames } from './flight-keys.ts'

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
  readonly #names: FlightNames
  readonly #prefix: string

  /** @param prefix put before each subject, where the fleet knows it under a longer name */
  constructor(link: RedisLink, { lifeMs, prefix = '' }: { lifeMs: number; prefix?: string }) {
    this.lifeMs = lifeMs
    this.#link = link
    this.#names = flightNames(link.names)
    this.#prefix = prefix
  }

  async claim(subjects: readonly string[], token: string, evenIfLanded: boolean): Promise<Claim[]> {
    const args = [token, this.lifeMs, evenIfLanded ? 1 : 0]
    const commands = slices(subjects).map((slice) => this.#link.luaForBytes(claimLeases, this.#keysOf(slice), args))
    const replies = (await Promise.all(commands)) as [states: Buffer, ...outcomes: (Buffer | null)[]][]
    return replies.flatMap(claimsIn)
  }

  async extend(subjects: readonly string[], token: string): Promise<void> {
    await this.#withLeases(subjects, extendLeases, [token, this.lifeMs])
  }

  async release(subjects: readonly string[], token: string): Promise<void> {
    await this.#withLeases(subjects, releaseLeases, [token])
  }

  async publish(outcomes: readonly LandedOutcome[], token: string): Promise<ReadonlySet<string>> {
    const commands = bySize(outcomes).map(async (slice) => {
      const subjects = slice.map(({ subject }) => subject)
      const { sizes, bytes } = packedValues(slice.map((one) => one.bytes))
      const keepMs = JSON.stringify(slice.map((one) => one.keepMs))
      const args = [token, sizes, bytes, keepMs, this.#names.landedChannels]
      const published = (await this.#link.lua(publishOutcomes, this.#keysOf(subjects), args)) as string
      return published.includes('0') ? subjects.filter((_, at) => published[at] === '1') : subjects
    })
    return new Set((await Promise.all(commands)).flat())
  }

  async #withLeases(subjects: readonly string[], command: LuaCommand, args: readonly LuaArgument[]): Promise<void> {
    const leasesOf = (slice: readonly string[]): string[] =>
      slice.map((subject) => this.#names.lease(this.#prefix + subject))
    await Promise.allSettled(slices(subjects).map((slice) => this.#link.lua(command, leasesOf(slice), args)))
  }

  /** First the leases, then the outcomes. */
  #keysOf(subjects: readonly string[]): string[] {
    const names = subjects.map((subject) => this.#prefix + subject)
    return [...names.map(this.#names.lease), ...names.map(this.#names.outcome)]
  }
}

const leased: Claim = { kind: 'leased' }
const stateOf = { held: 0x30, leased: 0x31, landed: 0x32 } as const

function claimsIn([states, ...outcomes]: [states: Buffer, ...outcomes: (Buffer | null)[]]): Claim[] {
  const left = outcomes.values()
  return Array.from(states, (state): Claim => {
    if (state === stateOf.leased) return leased
    const outcome = left.next().value ?? undefined
    return state === stateOf.landed && outcome ? { kind: 'landed', outcome } : { kind: 'held', outcome }
  })
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
