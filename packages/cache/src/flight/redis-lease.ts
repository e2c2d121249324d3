import type { Clock } from '@ipfleet/core/clock.ts'
import { bucketTag } from '@ipfleet/redis/bucket-tags.ts'
import { commandGroups } from '@ipfleet/redis/command-groups.ts'
import { type LuaArgument, type LuaCommand, luaCommand } from '@ipfleet/redis/lua-command.ts'
import { packedValues } from '@ipfleet/redis/packed-values.ts'
import type { RedisLink } from '@ipfleet/redis/redis-link.ts'
import { ifMoving, isMoving } from '@ipfleet/redis/redis-unavailable.ts'
import type { FlightNames } from './flight-keys.ts'
import type { Claim, LandedOutcome, Lease } from './leases.ts'
import type { RedlockLease } from './redlock-leases.ts'

const claimLeases = luaCommand(new URL('claim-leases.lua', import.meta.url))
const extendLeases = luaCommand(new URL('extend-leases.lua', import.meta.url))
const releaseLeases = luaCommand(new URL('release-leases.lua', import.meta.url))
const publishOutcomes = luaCommand(new URL('publish-outcomes.lua', import.meta.url))

/** Others wait for what a lease's holder does with it. */
const vital = { isVital: true }

/** Subjects of one command: some hundred microseconds of Redis's time, in which it serves no other client. */
export const maxSubjects = 250
/** Bytes of one publishing command, or one outcome. */
const maxBytes = 256 * 1024

interface LeaseDeps {
  readonly link: RedisLink
  readonly names: FlightNames
  readonly lifeMs: number
  readonly prefix: string
  readonly clock: Clock
  /** Proves to Redis whose lease it is. */
  readonly token: string
  /** Of one subject. */
  readonly redlock: RedlockLease | undefined
}

/** Of one subject or of many, in Redis. */
export class RedisLease implements Lease {
  readonly token: string
  readonly #deps: LeaseDeps
  #grantedMs: number
  /** Those that could not be leased, since their slot is half moved: they are loaded all the same. */
  readonly #unguarded = new Set<string>()

  /** @param grantedMs before it was asked for, by the monotonic clock */
  constructor(deps: LeaseDeps, grantedMs: number) {
    this.token = deps.token
    this.#deps = deps
    this.#grantedMs = grantedMs
  }

  guards(subject: string): boolean {
    return !this.#unguarded.has(subject)
  }

  isSure(): boolean {
    const { link, lifeMs, clock } = this.#deps
    return link.up && clock.nowMs() - this.#grantedMs < lifeMs / 2
  }

  async claimGroup(subjects: readonly string[], args: readonly LuaArgument[]): Promise<Claim[]> {
    try {
      return claimsIn((await this.#deps.link.luaForBytes(claimLeases, this.keysOf(subjects), args)) as ClaimReply)
    } catch (error) {
      if (!isMoving(error)) throw error
      for (const subject of subjects) this.#unguarded.add(subject)
      return subjects.map(() => leased)
    }
  }

  async extend(subjects: readonly string[]): Promise<void> {
    const { redlock, clock } = this.#deps
    const startedMs = clock.nowMs()
    const isOurs = redlock ? await redlock.extend() : await this.#extendMany(subjects)
    this.#grantedMs = isOurs ? startedMs : -Infinity
  }

  async release(subjects: readonly string[]): Promise<void> {
    const { redlock } = this.#deps
    if (redlock) await redlock.release()
    else await this.#eachGroup(subjects, releaseLeases, [this.token])
  }

  async publish(outcomes: readonly LandedOutcome[]): Promise<ReadonlySet<string> | undefined> {
    const guarded = this.#unguarded.size === 0 ? outcomes : outcomes.filter((one) => this.guards(one.subject))
    try {
      const published = guarded.length === 1 ? await this.#publishGroup(guarded) : await this.#publishMany(guarded)
      return new Set(this.#unguarded.size === 0 ? published : [...published, ...this.#unguarded])
    } catch {
      // Redis went away meanwhile, or is full. Those who wait elsewhere need not wait for the leases to run out.
      void this.release(outcomes.map(({ subject }) => subject))
      return undefined
    }
  }

  async #publishMany(outcomes: readonly LandedOutcome[]): Promise<string[]> {
    const groups = commandGroups(outcomes, {
      maxItems: maxSubjects,
      maxBytes,
      bytesOf: ({ bytes }) => bytes.length,
      bucketOf: bucketOf(this.#deps, ({ subject }: LandedOutcome) => subject),
    })
    return (await Promise.all(groups.map((group) => this.#publishGroup(group)))).flat()
  }

  /** First the leases, then the outcomes. */
  keysOf(subjects: readonly string[]): string[] {
    const { names, prefix } = this.#deps
    const full = subjects.map((subject) => prefix + subject)
    return [...full.map(names.lease), ...full.map(names.outcome)]
  }

  async #publishGroup(group: readonly LandedOutcome[]): Promise<readonly string[]> {
    const subjects = group.map(({ subject }) => subject)
    const { sizes, bytes } = packedValues(group.map((one) => one.bytes))
    const keepMs = JSON.stringify(group.map((one) => one.keepMs))
    const isHeardElsewhere = this.#deps.link.isCluster ? 1 : 0
    const args = [this.token, sizes, bytes, keepMs, this.#deps.names.landedChannels, isHeardElsewhere]
    const apart = async (): Promise<string> => (await Promise.all(group.map((one) => this.#publishApart(one)))).join('')
    const published = (await this.#deps.link
      .lua(publishOutcomes, this.keysOf(subjects), args, { ...vital, hasOtherWay: true })
      .catch(ifMoving(apart))) as string
    return published.includes('0') ? subjects.filter((_, at) => published[at] === '1') : subjects
  }

  /** As the command does it, but not in one step: what another replica publishes meanwhile may be lost. */
  async #publishApart({ subject, bytes, keepMs }: LandedOutcome): Promise<'0' | '1'> {
    const { link, names, prefix } = this.#deps
    const name = prefix + subject
    if ((await link.run((redis) => redis.get(names.lease(name)), vital)) !== this.token) return '0'
    await link.run((redis) => redis.set(names.outcome(name), bytes, 'PX', keepMs), vital)
    await link.lua(releaseLeases, [names.lease(name)], [this.token], vital)
    await link.run((redis) => redis.publish(names.landed(name), ''), vital)
    return '1'
  }

  async #extendMany(subjects: readonly string[]): Promise<boolean> {
    const replies = await this.#eachGroup(subjects, extendLeases, [this.token, this.#deps.lifeMs])
    const prolonged = replies.map((reply) => (reply.status === 'fulfilled' ? Number(reply.value) : 0))
    return prolonged.reduce((sum, count) => sum + count, 0) === subjects.length
  }

  #eachGroup(
    subjects: readonly string[],
    command: LuaCommand,
    args: readonly LuaArgument[],
  ): Promise<PromiseSettledResult<unknown>[]> {
    const { link, names, prefix } = this.#deps
    const leasesOf = (group: readonly string[]): string[] => group.map((subject) => names.lease(prefix + subject))
    const of = bucketOf(this.#deps, (subject: string) => subject)
    const groups = commandGroups(subjects, { maxItems: maxSubjects, bucketOf: of })
    return Promise.allSettled(groups.map((group) => link.lua(command, leasesOf(group), args, vital)))
  }
}

/** On a Cluster, where the keys of a command share a slot, by which bucket to group items. */
export function bucketOf<T>(
  { link, prefix }: Pick<LeaseDeps, 'link' | 'prefix'>,
  subjectOf: (item: T) => string,
): ((item: T) => string) | undefined {
  return link.isCluster ? (item) => bucketTag(prefix + subjectOf(item)) : undefined
}

type ClaimReply = [states: Buffer, ...outcomes: (Buffer | null)[]]

export const leased: Claim = { kind: 'leased' }
export const held: Claim = { kind: 'held' }
const stateOf = { leased: 0x31, landed: 0x32 } as const

function claimsIn([states, ...outcomes]: ClaimReply): Claim[] {
  const left = outcomes.values()
  return Array.from(states, (state): Claim => {
    if (state === stateOf.leased) return leased
    const outcome = left.next().value ?? undefined
    return state === stateOf.landed && outcome ? { kind: 'landed', outcome } : { kind: 'held', outcome }
  })
}
