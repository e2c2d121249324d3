import { lookup } from 'node:dns/promises'
import { EventEmitter } from 'node:events'
import { type Clock, monotonicClock } from '@ipfleet/core/clock.ts'
import type { UpstreamPool, PoolOptions } from '@ipfleet/proxy/http1/connection-pool.ts'
import type { UpstreamTarget } from '@ipfleet/proxy/http1/exchange-types.ts'
import type { EjectionConfig, GroupConfig, HealthConfig } from '../config/edge-config.ts'
import { LatencyEstimate } from '../proxy/latency-estimate.ts'
import { AddressBook } from './address-book.ts'
import { balancers } from './balancers.ts'
import type { Resolve } from './followed-name.ts'
import { checkHealth, type HealthCheck } from './health-check.ts'
import { HealthChecker } from './health-checker.ts'
import { LiveMember, type MemberState } from './live-member.ts'
import { Roster } from './roster.ts'
import { alignTurns, roundRobin } from './round-robin.ts'
import { namesOf, type Seat, seatsOf } from './seats.ts'
import type { AttemptEnd, Member, UpstreamGroup } from './upstream-group.ts'
import { wholeSeconds } from '@ipfleet/core/whole-seconds.ts'

export interface LiveGroupConfig {
  readonly group: GroupConfig
  readonly health: HealthConfig
  readonly ejection: EjectionConfig
}

export interface LiveGroupParts {
  readonly createPool: (target: UpstreamTarget, options: PoolOptions) => UpstreamPool
  readonly resolve?: Resolve
  readonly checkHealth?: HealthCheck
  readonly clock?: Clock
  /** From 0 to 1: who is first, and when checks and look-ups come. */
  readonly random?: () => number
}

/** Members go by their ids. */
interface LiveGroupEvents {
  joined: [member: string]
  left: [member: string]
  ejected: [member: string, lastsMs: number]
  returned: [member: string]
  /** `reason` is for people. */
  unhealthy: [member: string, reason: string]
  healthy: [member: string]
  /** The addresses known before stay in use. `code` as of `dns`: `ENOTFOUND`, `EAI_AGAIN`. */
  unresolved: [hostname: string, code: string]
}

/** A member at one moment, for metrics. */
export interface MemberSnapshot {
  readonly id: string
  readonly state: MemberState
  /** Its part of the requests is this, over the sum of those who are up. */
  readonly effectiveWeight: number
  readonly inFlight: number
  /** Connections, and requests that wait for one. */
  readonly open: number
  readonly idle: number
  readonly waiting: number
}

/** A group whose members come and go: by the addresses of their names, by active checks, by what the traffic tells. */
export class LiveGroup extends EventEmitter<LiveGroupEvents> implements UpstreamGroup {
  readonly name: string
  readonly latency: LatencyEstimate
  readonly #parts: Required<LiveGroupParts>
  readonly #book: AddressBook
  readonly #roster: Roster
  #config: LiveGroupConfig
  /** Those ejected that have been asked all the same. */
  readonly #lastResorts = new WeakSet<LiveMember>()
  #started = false
  #configurations = 0

  constructor(name: string, config: LiveGroupConfig, parts: LiveGroupParts) {
    super()
    this.name = name
    this.#config = config
    this.#parts = { resolve: lookUpAll, checkHealth, clock: monotonicClock, random: Math.random, ...parts }
    this.#book = new AddressBook(this.#parts)
    this.#roster = new Roster(config.ejection, this.#parts.clock)
    this.latency = new LatencyEstimate(this.#parts.clock)
    this.#listen()
  }

  /** Looks up all names, and goes on after two seconds with the members known by then. Never rejects. */
  start(): Promise<void> {
    return this.configure(this.#config)
  }

  /**
   * Members that stay keep their state, counts and connections; those that go finish what they have begun. Takes
   * effect when new names have been looked up, after two seconds at the latest. Never rejects; the last call wins.
   */
  async configure(config: LiveGroupConfig): Promise<void> {
    const configuration = ++this.#configurations
    const { backends, resolveMs } = config.group
    const names = namesOf(backends)
    await this.#book.learn(names, resolveMs)
    if (configuration !== this.#configurations) return
    this.#started = true
    this.#config = config
    this.#book.keepOnly(names, resolveMs)
    this.#roster.configure(config.ejection)
    this.#reseat()
    for (const { pool } of this.#roster.all) pool.configure(config.group)
  }

  /** Requests under way go on to their end. */
  close(): void {
    this.#configurations += 1
    this.removeAllListeners()
    this.#book.close()
    for (const member of this.#roster.all) member.close()
    this.#roster.replace([])
  }

  next(path: string, tried: readonly Member[]): Member | undefined {
    const member = balancers[this.#config.group.balance](this.#eligible, path, tried)
    if (member !== undefined) member.inFlight += 1
    return member
  }

  lastResort(path: string, tried: readonly Member[]): Member | undefined {
    const member = balancers[this.#config.group.balance](this.#roster.ejected, path, tried)
    if (member === undefined) return undefined
    member.inFlight += 1
    this.#lastResorts.add(member)
    return member
  }

  done(member: Member, end: AttemptEnd): void {
    member.inFlight -= 1
    if (end === 'unknown' || !(member instanceof LiveMember)) return
    const wasLastResort = this.#lastResorts.delete(member)
    if (end === 'answered') {
      if (wasLastResort && this.#roster.ejected.includes(member)) this.#roster.readmit(member)
      member.ejection.answered()
      return
    }
    this.#roster.failed(member)
    this.#doubtAddressOf(member)
  }

  /** The next request is the one after so many, as other processes count them too. */
  align(turns: number): void {
    if (balancers[this.#config.group.balance] === roundRobin) alignTurns(this.#roster.up, turns)
  }

  get usable(): boolean {
    return this.#eligible.length > 0
  }

  retryAfterSeconds(): number {
    return wholeSeconds(this.#waitMs())
  }

  members(): readonly MemberSnapshot[] {
    // Brings the weights up to date.
    void this.#roster.up
    return this.#roster.all.map(({ id, state, effectiveWeight, inFlight, pool: { open, idle, waiting } }) => {
      return { id, state, effectiveWeight, inFlight, open, idle, waiting }
    })
  }

  /**
   * The members that get requests: those that are up. When none is, those that are only late for their checks, for
   * `answerTimeoutMs`. Busy members that got no requests would answer none at all (compare the panic threshold of
   * Envoy). A member that refuses or says that it is not ready is believed.
   */
  get #eligible(): readonly LiveMember[] {
    const { up, all } = this.#roster
    if (up.length > 0) return up
    return all.filter(
      (member) => member.state === 'unhealthy' && member.checker?.isLate(this.#config.group.answerTimeoutMs),
    )
  }

  #listen(): void {
    this.#book.on('unresolved', (hostname, code) => this.emit('unresolved', hostname, code))
    this.#book.on('changed', () => {
      // Until then the start waits for all names, so that nobody counts as late.
      if (this.#started) this.#reseat()
    })
    this.#roster.on('ejected', ({ id }, lastsMs) => this.emit('ejected', id, lastsMs))
    this.#roster.on('returned', ({ id }) => this.emit('returned', id))
    this.#roster.on('healthy', ({ id }) => this.emit('healthy', id))
    this.#roster.on('unhealthy', (member, reason) => {
      this.emit('unhealthy', member.id, reason)
      this.#doubtAddressOf(member)
    })
  }

  /** It may have been that of a container which is gone. */
  #doubtAddressOf({ hostname }: LiveMember): void {
    if (hostname !== undefined) this.#book.lookSoon(hostname)
  }

  /** Until somebody may be up. When nobody is, all are unhealthy, or no name has an address. */
  #waitMs(): number {
    const members = this.#roster.all
    if (this.usable) return 0
    if (members.length === 0) return this.#book.dueInMs
    return Math.min(...members.map(({ checker }) => checker?.healthyInMs ?? 0))
  }

  /** One member for each seat. Those that were there stay in theirs. */
  #reseat(): void {
    const before = this.#roster.all
    const seats = seatsOf(this.#config.group.backends, (hostname) => this.#book.addressesOf(hostname))
    const members = seats.map((seat) => before.find((member) => member.take(seat)) ?? this.#memberFor(seat))
    this.#roster.replace(members)
    for (const member of before.filter((held) => !members.includes(held))) {
      member.close()
      this.emit('left', member.id)
    }
    for (const member of members) {
      if (!before.includes(member)) this.emit('joined', member.id)
      this.#attend(member)
    }
  }

  #memberFor(seat: Seat): LiveMember {
    const pool = this.#parts.createPool(seat.target, this.#config.group)
    // Decides between equals only: processes that start together then differ in who is first.
    const firstTurn = this.#parts.random() * 1e-6
    return new LiveMember(seat, pool, firstTurn, (member) => this.#roster.readmit(member))
  }

  /** Has a member checked, or not checked any more, as configured. */
  #attend(member: LiveMember): void {
    if (this.#healthPath !== '') {
      if (member.checker !== undefined) return member.checker.configure(this.#config.health)
      member.checker = this.#checkerOf(member)
      return member.checker.start()
    }
    member.checker?.close()
    member.checker = undefined
    if (member.state === 'unhealthy') this.#roster.bringBack(member)
  }

  #checkerOf(member: LiveMember): HealthChecker {
    const checker = new HealthChecker(this.#config.health, {
      check: (signal) => this.#check(member, signal),
      clock: this.#parts.clock,
      random: this.#parts.random,
    })
    checker.on('healthy', () => this.#roster.bringBack(member))
    checker.on('unhealthy', (reason) => this.#roster.takeOut(member, reason))
    return checker
  }

  #check({ pool: { target }, authority }: LiveMember, signal: AbortSignal) {
    const { timeoutMs } = this.#config.health
    return this.#parts.checkHealth({ target, authority, path: this.#healthPath, timeoutMs }, signal)
  }

  /** '' when there are no active checks. */
  get #healthPath(): string {
    return this.#config.group.healthPath ?? this.#config.health.path ?? ''
  }
}

async function lookUpAll(hostname: string): Promise<readonly string[]> {
  const found = await lookup(hostname, { all: true })
  return found.map(({ address }) => address)
}
