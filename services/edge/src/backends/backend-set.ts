import type { EventEmitter } from 'node:events'
import type { Clock } from '@ipfleet/core/clock.ts'
import type { EjectionConfig } from '../config/edge-config.ts'
import type { Backend } from './backend.ts'

/** Backends are told by their ids. */
export interface BackendEvents {
  ejected: [backend: string, lastsMs: number]
  returned: [backend: string]
  /** `reason` is for people. */
  unhealthy: [backend: string, reason: string]
  healthy: [backend: string]
}

/**
 * The backends of a group, and which of them are up.
 *
 * Active checks are believed: when they fail for all backends, none is up (see `UpstreamGroup`). Ejections are not: a
 * backend is ejected only while another is up, and when no other is left the ejected are called back. A backend that
 * comes, or comes back, while others serve starts slowly.
 */
export class BackendSet {
  readonly #clock: Clock
  readonly #events: Pick<EventEmitter<BackendEvents>, 'emit'>
  #config: EjectionConfig
  #all: readonly Backend[] = []
  #up: readonly Backend[] = []
  /** Those of `#up` that do not have their full weight yet. */
  #warming: readonly Backend[] = []

  constructor(config: EjectionConfig, clock: Clock, events: Pick<EventEmitter<BackendEvents>, 'emit'>) {
    this.#config = config
    this.#clock = clock
    this.#events = events
  }

  get all(): readonly Backend[] {
    return this.#all
  }

  /** The backends that get requests, with effective weights as of now. */
  get up(): readonly Backend[] {
    if (this.#warming.length > 0) this.#warm()
    return this.#up
  }

  get ejected(): readonly Backend[] {
    return this.#all.filter(({ state }) => state === 'ejected')
  }

  configure(config: EjectionConfig): void {
    this.#config = config
  }

  /** New ones start slowly if others serve already. */
  replace(backends: readonly Backend[]): void {
    if (this.#up.length > 0) {
      for (const backend of backends) if (!this.#all.includes(backend)) this.#startSlowly(backend)
    }
    this.#all = backends
    this.#settle()
  }

  /** Counts a failed attempt, and ejects the backend if it was one too many. */
  failed(backend: Backend): void {
    const { failures, ejectMs } = this.#config
    const inARow = backend.ejection.failed()
    // A backend that has left finishes its requests, and may fail them.
    if (failures === 0 || inARow < failures || !this.#up.includes(backend) || !this.#mayEject) return
    const lastsMs = backend.ejection.begin(ejectMs)
    backend.state = 'ejected'
    this.#settle()
    this.#events.emit('ejected', backend.id, lastsMs)
  }

  /** The time of an ejection is over, or the backend has answered all the same. */
  readmit(backend: Backend): void {
    this.#bringUp(backend)
    this.#events.emit('returned', backend.id)
  }

  /** By an active check, which overrules an ejection. */
  takeOut(backend: Backend, reason: string): void {
    backend.ejection.end()
    backend.state = 'unhealthy'
    this.#events.emit('unhealthy', backend.id, reason)
    this.#settle()
  }

  /** By an active check, or because there are none any more. */
  bringBack(backend: Backend): void {
    this.#bringUp(backend)
    this.#events.emit('healthy', backend.id)
  }

  /**
   * At most `maxPercent` of a group are ejected at a time, though with any share above 0 there may be one, and never the
   * last that is up. Failures of the traffic may well be the traffic's fault (Envoy has its panic threshold for the same
   * reason), so they never leave a group without a backend.
   */
  get #mayEject(): boolean {
    const { maxPercent } = this.#config
    const maxEjected = maxPercent > 0 ? Math.max(1, Math.floor((this.#all.length * maxPercent) / 100)) : 0
    return this.#up.length > 1 && this.ejected.length < maxEjected
  }

  #bringUp(backend: Backend): void {
    backend.ejection.end()
    backend.state = 'up'
    if (this.#up.length > 0) this.#startSlowly(backend)
    this.#settle()
  }

  #startSlowly(backend: Backend): void {
    const nowMs = this.#clock.nowMs()
    backend.startSlowly(nowMs)
    backend.warm(nowMs, this.#config.slowStartMs)
  }

  #warm(): void {
    const nowMs = this.#clock.nowMs()
    for (const backend of this.#warming) backend.warm(nowMs, this.#config.slowStartMs)
    this.#warming = this.#warming.filter(({ isWarming }) => isWarming)
  }

  #settle(): void {
    this.#up = this.#all.filter(({ state }) => state === 'up')
    this.#warming = this.#up.filter(({ isWarming }) => isWarming)
    if (this.#up.length === 0) this.#callBackEjected()
  }

  /** All at once and with full weight: there is no other to take the load meanwhile. */
  #callBackEjected(): void {
    const { ejected } = this
    if (ejected.length === 0) return
    for (const backend of ejected) {
      backend.ejection.end()
      backend.state = 'up'
    }
    this.#settle()
    for (const { id } of ejected) this.#events.emit('returned', id)
  }
}
