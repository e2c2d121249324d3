import type { Source, SourceChoice, SourceOutcome, SourcePool } from '../sources/source-pool.ts'
import { authorityOf, type TargetAddress } from '@ipfleet/net/target.ts'
import { BoundConnect, type BoundConnectDeps, type ConnectEnd } from './bound-connect.ts'
import type { DialRequest, Dialled } from './dialer.ts'

export interface FamilyAttemptDeps extends BoundConnectDeps {
  readonly pool: SourcePool
}

/** What a dial, or the half of one, came to by itself. */
export type AttemptEnd = Exclude<Dialled, { kind: 'aborted' }>

export interface AttemptOptions {
  readonly request: DialRequest
  readonly families: readonly (4 | 6)[]
  /** By the clock: when all must be over. */
  readonly deadlineMs: number
}

/** What whoever runs a attempt is told. After `over` nothing more comes. */
export interface AttemptOwner {
  /** A source has been taken for the first time, which decides the family. */
  decided(): void
  over(end: AttemptEnd): void
}

/** Of a name with many addresses, so that each gets enough of the time. */
const maxAddresses = 4
/** Sources that have proved to be of no use, one after the other, until a dial is given up. */
const maxSources = 8

/**
 * One way to a target: a source, and the target's addresses of the source's family one after the other. Only a source
 * that could not be used gives way to another; a target that refuses one would refuse the next, and rotation must stay
 * even.
 */
export class FamilyAttempt {
  readonly #deps: FamilyAttemptDeps
  readonly #task: AttemptOptions
  readonly #owner: AttemptOwner
  /** As the pool knows the target. */
  readonly #site: string
  readonly #tried: Source[] = []
  #source: Source | undefined
  #addresses: readonly TargetAddress[] = []
  /** Which of the addresses is being tried. */
  #at = 0
  #connecting: BoundConnect | undefined
  #timer: NodeJS.Timeout | undefined
  #over = false

  constructor(deps: FamilyAttemptDeps, task: AttemptOptions, owner: AttemptOwner) {
    this.#deps = deps
    this.#task = task
    this.#owner = owner
    this.#site = authorityOf(task.request.target)
  }

  /** Undefined until a source has been taken. */
  get family(): 4 | 6 | undefined {
    return this.#source?.family
  }

  /** Asks the pool for a source, and goes on from there. */
  start(): void {
    const { request, families } = this.#task
    const choice = this.#deps.pool.next({
      families: this.#source ? [this.#source.family] : families,
      site: this.#site,
      session: request.session,
      tried: this.#tried,
    })
    if (choice instanceof Promise) choice.then(this.#chosen, () => this.#chosen(noneForNow))
    else this.#chosen(choice)
  }

  /** Leaves no socket behind. Its owner is told nothing, and nor is the pool. */
  stop(): void {
    this.#over = true
    this.#halt()
  }

  /** The time is over. @returns the source that was waited with, if there was one */
  expire(): Source | undefined {
    if (this.#connecting) this.#report('target_failed')
    this.stop()
    return this.#source
  }

  readonly #chosen = (choice: SourceChoice): void => {
    if (this.#over) return
    if (choice.kind !== 'source') {
      this.#end(refusalOf(choice))
      return
    }
    const isFirst = this.#source === undefined
    this.#source = choice.source
    const { family } = choice.source
    this.#addresses = this.#task.request.addresses.filter((one) => one.family === family).slice(0, maxAddresses)
    this.#at = 0
    if (isFirst) this.#owner.decided()
    this.#connect()
  }

  #connect(): void {
    const { request, deadlineMs } = this.#task
    const [source, to] = [this.#source, this.#addresses[this.#at]]
    // A pool that gives a family that was not asked for.
    if (source === undefined || to === undefined) {
      this.#end({ kind: 'no_family' })
      return
    }
    const route = { source, address: to.address, port: request.target.port, onread: request.onread }
    this.#connecting = new BoundConnect(this.#deps, route, (end) => this.#ended(source, to, end))
    const left = this.#addresses.length - this.#at
    // The last one has the time that is left to the dial.
    if (left === 1) return
    const shareMs = (deadlineMs - this.#deps.clock.nowMs()) / left
    this.#timer = setTimeout(() => this.#nextAddress(source, 'ETIMEDOUT'), shareMs)
  }

  #ended(source: Source, { address }: TargetAddress, end: ConnectEnd): void {
    switch (end.kind) {
      case 'connected':
        this.#report('connected')
        this.#end({ ...end, source, address })
        return
      case 'target_failed':
        this.#nextAddress(source, end.code)
        return
      case 'own_lack':
        this.#end({ kind: 'failed', code: end.code, source })
        return
      default:
        this.#nextSource(source, end.kind)
    }
  }

  #nextAddress(source: Source, code: string): void {
    this.#halt()
    this.#at += 1
    if (this.#at < this.#addresses.length) this.#connect()
    else {
      this.#report('target_failed')
      this.#end({ kind: 'failed', code, source })
    }
  }

  #nextSource(source: Source, outcome: 'not_ours' | 'no_ports'): void {
    this.#halt()
    this.#report(outcome)
    this.#tried.push(source)
    if (this.#tried.length < maxSources) this.start()
    else this.#end(refusalOf(noneForNow))
  }

  #report(outcome: SourceOutcome): void {
    if (this.#source) this.#deps.pool.report(this.#source, this.#site, outcome)
  }

  #halt(): void {
    clearTimeout(this.#timer)
    this.#connecting?.stop()
    this.#connecting = undefined
  }

  #end(end: AttemptEnd): void {
    clearTimeout(this.#timer)
    this.#connecting = undefined
    this.#over = true
    this.#owner.over(end)
  }
}

/** Also of a pool that fails. */
const noneForNow = { kind: 'all_out', retryAfterSeconds: 1 } as const

function refusalOf(
  choice: Exclude<SourceChoice, { kind: 'source' }>,
): Extract<Dialled, { kind: 'no_source' | 'no_family' | 'session_lost' }> {
  return choice.kind === 'all_out' ? { kind: 'no_source', retryAfterSeconds: choice.retryAfterSeconds } : choice
}
