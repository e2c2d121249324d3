import { EventEmitter } from 'node:events'
import type { Clock } from '@ipfleet/core/clock.ts'
import type { EjectionConfig } from '../config/edge-config.ts'
import { mayEjectOneMore } from './ejection.ts'
import type { LiveMember } from './live-member.ts'

interface RosterEvents {
  ejected: [member: LiveMember, lastsMs: number]
  returned: [member: LiveMember]
  unhealthy: [member: LiveMember, reason: string]
  healthy: [member: LiveMember]
}

/**
 * The members of a group, and who of them gets requests.
 *
 * Active checks are believed: when they fail for all members, nobody is up (see `LiveGroup`). Ejections are not: a member is ejected
 * only while another is up, and when nobody else is left any more the ejected are called back. Whoever comes (back)
 * while others serve starts slowly.
 */
export class Roster extends EventEmitter<RosterEvents> {
  readonly #clock: Clock
  #config: EjectionConfig
  #all: readonly LiveMember[] = []
  #up: readonly LiveMember[] = []
  /** Those of `#up` that do not have their full weight yet. */
  #warming: readonly LiveMember[] = []

  constructor(config: EjectionConfig, clock: Clock) {
    super()
    this.#config = config
    this.#clock = clock
  }

  get all(): readonly LiveMember[] {
    return this.#all
  }

  /** Who gets requests, with effective weights as of now. */
  get up(): readonly LiveMember[] {
    if (this.#warming.length > 0) this.#warm()
    return this.#up
  }

  get ejected(): readonly LiveMember[] {
    return this.#all.filter(({ state }) => state === 'ejected')
  }

  configure(config: EjectionConfig): void {
    this.#config = config
  }

  /** From now on these, and no others. Who is new among them starts slowly if anybody serves already. */
  replace(members: readonly LiveMember[]): void {
    if (this.#up.length > 0) {
      for (const member of members) if (!this.#all.includes(member)) this.#startSlowly(member)
    }
    this.#all = members
    this.#settle()
  }

  /** Counts a failed attempt, and ejects the member if it was one too many. */
  failed(member: LiveMember): void {
    const { failures, ejectMs, maxPercent } = this.#config
    const inARow = member.ejection.failed()
    // A member that has left finishes its requests, and may fail them.
    if (failures === 0 || inARow < failures || !this.#up.includes(member)) return
    const census = { members: this.#all.length, up: this.#up.length, ejected: this.ejected.length }
    if (!mayEjectOneMore(census, maxPercent)) return
    const lastsMs = member.ejection.begin(ejectMs)
    member.state = 'ejected'
    this.#settle()
    this.emit('ejected', member, lastsMs)
  }

  /** The time of an ejection is over, or the member has answered all the same. */
  readmit(member: LiveMember): void {
    this.#bringUp(member)
    this.emit('returned', member)
  }

  /** By an active check, whose word goes before an ejection. */
  takeOut(member: LiveMember, reason: string): void {
    member.ejection.end()
    member.state = 'unhealthy'
    this.emit('unhealthy', member, reason)
    this.#settle()
  }

  /** By an active check, or because there are none any more. */
  bringBack(member: LiveMember): void {
    this.#bringUp(member)
    this.emit('healthy', member)
  }

  #bringUp(member: LiveMember): void {
    member.ejection.end()
    member.state = 'up'
    if (this.#up.length > 0) this.#startSlowly(member)
    this.#settle()
  }

  #startSlowly(member: LiveMember): void {
    const nowMs = this.#clock.nowMs()
    member.startSlowly(nowMs)
    member.warm(nowMs, this.#config.slowStartMs)
  }

  #warm(): void {
    const nowMs = this.#clock.nowMs()
    for (const member of this.#warming) member.warm(nowMs, this.#config.slowStartMs)
    this.#warming = this.#warming.filter(({ isWarming }) => isWarming)
  }

  #settle(): void {
    this.#up = this.#all.filter(({ state }) => state === 'up')
    this.#warming = this.#up.filter(({ isWarming }) => isWarming)
    if (this.#up.length === 0) this.#callBack()
  }

  /** All at once and with full weight: there is nobody to take the load meanwhile. */
  #callBack(): void {
    const { ejected } = this
    if (ejected.length === 0) return
    for (const member of ejected) {
      member.ejection.end()
      member.state = 'up'
    }
    this.#settle()
    for (const member of ejected) this.emit('returned', member)
  }
}
