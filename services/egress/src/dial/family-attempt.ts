import type { Source, SourceChoice, SourceOutcome, SourcePool } from '../sources/source-pool.ts'
import { authorityOf, nameAddress, type TargetAddress } from '@ipfleet/net/target.ts'
import { BoundConnect, type BoundConnectDeps, type ConnectEnd } from './bound-connect.ts'
import type { DialRequest, Dialled } from './dial-request.ts'
import type { ParentDialer, ParentEnd } from './parent-dialer.ts'

export interface FamilyAttemptDeps extends BoundConnectDeps {
  readonly pool: SourcePool
  readonly parents: ParentDialer
}

/** How an attempt ended by itself. */
export type AttemptEnd = Exclude<Dialled, { kind: 'aborted' }>

export interface AttemptOptions {
  readonly request: DialRequest
  readonly families: readonly (4 | 6)[]
  /** When it must be over, by the monotonic clock. */
  readonly deadlineMs: number
}

/** Is told how an attempt goes. After `over` nothing more comes. */
export interface AttemptOwner {
  /** A source has been taken for the first time, which decides the family. */
  decided(): void
  over(end: AttemptEnd): void
}

/** Limits the addresses of one name, so that each gets enough time. */
const maxAddresses = 4
/** A dial is given up after so many sources that could not be used. */
const maxSources = 8

/**
 * Dials a target from one source, at the target's addresses of the source's family one after the other; a parent takes those
 * of both, or the name. Another source is
 * taken only if the first could not be used: a target that refuses one would refuse the next, and rotation must stay
 * even.
 */
export class FamilyAttempt {
  readonly #deps: FamilyAttemptDeps
  readonly #task: AttemptOptions
  readonly #owner: AttemptOwner
  /** `host:port`. */
  readonly #site: string
  readonly #tried: Source[] = []
  #source: Source | undefined
  #addresses: readonly TargetAddress[] = []
  #addressIndex = 0
  #connecting: { stop(): void } | undefined
  #timer: NodeJS.Timeout | undefined
  #over = false

  constructor(deps: FamilyAttemptDeps, task: AttemptOptions, owner: AttemptOwner) {
    this.#deps = deps
    this.#task = task
    this.#owner = owner
    this.#site = authorityOf(task.request.target)
  }

  /** Undefined until a source is taken, and for a parent. */
  get family(): 4 | 6 | undefined {
    return this.#source?.family
  }

  /** Takes a source from the pool, and connects. */
  start(): void {
    const { request, families } = this.#task
    const choice = this.#deps.pool.next({
      families: this.#source?.family ? [this.#source.family] : families,
      site: this.#site,
      session: request.session,
      chosen: request.chosen,
      tried: this.#tried,
    })
    if (choice instanceof Promise) choice.then(this.#chosen, () => this.#chosen(noneForNow))
    else this.#chosen(choice)
  }

  /** Closes its socket, and tells neither its owner nor the pool. */
  stop(): void {
    this.#over = true
    this.#halt()
  }

  /** The dial has timed out. @returns the source that was in use, if any */
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
    this.#addresses = this.#addressesFor(choice.source)
    this.#addressIndex = 0
    if (isFirst) this.#owner.decided()
    this.#connect()
  }

  #addressesFor({ family, parent }: Source): readonly TargetAddress[] {
    const { target, addresses } = this.#task.request
    if (parent?.dns === 'remote') return [nameAddress(target.host)]
    return addresses.filter((one) => family === undefined || one.family === family).slice(0, maxAddresses)
  }

  #connect(): void {
    const { request, deadlineMs } = this.#task
    const [source, to] = [this.#source, this.#addresses[this.#addressIndex]]
    // The pool returned a family that was not requested.
    if (source === undefined || to === undefined) {
      this.#end({ kind: 'no_family' })
      return
    }
    const { port } = request.target
    const onEnd = (end: ConnectEnd | ParentEnd): void => this.#ended(source, to, end)
    this.#connecting =
      source.parent === undefined
        ? new BoundConnect(this.#deps, { source, address: to.address, port, onread: request.onread }, onEnd)
        : this.#deps.parents.start(source.parent, { host: to.address, port }, onEnd)
    const left = this.#addresses.length - this.#addressIndex
    // The last address has the rest of the dial's time.
    if (left === 1) return
    const shareMs = (deadlineMs - this.#deps.clock.nowMs()) / left
    this.#timer = setTimeout(() => this.#nextAddress(source, 'ETIMEDOUT'), shareMs)
  }

  #ended(source: Source, { address }: TargetAddress, end: ConnectEnd | ParentEnd): void {
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
    this.#addressIndex += 1
    if (this.#addressIndex < this.#addresses.length) this.#connect()
    else {
      this.#report('target_failed')
      this.#end({ kind: 'failed', code, source })
    }
  }

  #nextSource(source: Source, outcome: 'not_ours' | 'no_ports' | 'parent_failed'): void {
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

/** Also if the pool fails. */
const noneForNow = { kind: 'all_out', retryAfterSeconds: 1 } as const

function refusalOf(choice: Exclude<SourceChoice, { kind: 'source' }>): AttemptEnd {
  return choice.kind === 'all_out' ? { kind: 'no_source', retryAfterSeconds: choice.retryAfterSeconds } : choice
}
