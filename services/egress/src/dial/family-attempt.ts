import { connect, type Socket, type TcpNetConnectOpts } from 'node:net'
import type { Clock } from '@ipfleet/core/clock.ts'
import { authorityOf, nameAddress, type TargetAddress } from '@ipfleet/net/target.ts'
import type { SourceConnections } from '../sources/source-connections.ts'
import type { Source, SourceChoice, SourceOutcome, SourcePool } from '../sources/source-pool.ts'
import { connectFailure } from './connect-failure.ts'
import type { DialRequest, Dialled } from './dial-request.ts'
import type { LocalPorts } from './local-ports.ts'
import type { ParentDialer, ParentEnd } from './parent-dialer.ts'

export interface FamilyAttemptDeps {
  readonly pool: SourcePool
  readonly parents: ParentDialer
  readonly ports: LocalPorts
  readonly clock: Clock
  /** Told of each socket. */
  readonly connections: SourceConnections
}

/** How an attempt ended by itself. */
export type AttemptEnd = Exclude<Dialled, { kind: 'aborted' }>

/** The dial that an attempt is of. Is told how it goes; after `over` nothing more comes. */
export interface AttemptOwner {
  readonly request: DialRequest
  /** When it must be over, by the monotonic clock. */
  readonly deadlineMs: number
  /** A source has been taken for the first time, which decides the family. */
  decided(): void
  over(end: AttemptEnd): void
}

/** Limits the addresses of one name, so that each gets enough time. */
const maxAddresses = 4
/** A dial is given up after so many sources that could not be used. */
const maxSources = 8
/** Of a dial, for reaching one parent: more than one may be silent, and a SYN that was lost is sent again after 1 s. */
const reachShare = 0.25
/** Local ports that are tried before a source counts as having none for a target. */
const maxPorts = 16

/**
 * Dials a target from one source, at the target's addresses of the source's family one after the other; a parent takes
 * those of both, or the name. Another source is taken only if the first could not be used: a target that refuses one
 * would refuse the next, and rotation must stay even. A socket that it hands over has no listener of it.
 */
export class FamilyAttempt {
  readonly #deps: FamilyAttemptDeps
  readonly #families: readonly (4 | 6)[]
  readonly #owner: AttemptOwner
  /** `host:port`. */
  readonly #site: string
  readonly #tried: Source[] = []
  #source: Source | undefined
  /** Of the target: those that are left, of which the first is being connected. */
  #addresses: readonly TargetAddress[] = []
  /** What is being connected: a socket, or through a parent. */
  #socket: Socket | undefined
  #throughParent: { stop(): void } | undefined
  /** How long any parent has to be reached; less, near the end of the dial, would blame parents that are only far away. */
  #reachMs: number | undefined
  /** Of the attempt at this address, the first port included. */
  #startedMs = 0
  #portsTried = 0
  #timer: NodeJS.Timeout | undefined
  #over = false

  /** @param families of which the pool chooses one */
  constructor(deps: FamilyAttemptDeps, families: readonly (4 | 6)[], owner: AttemptOwner) {
    this.#deps = deps
    this.#families = families
    this.#owner = owner
    this.#site = authorityOf(owner.request.target)
  }

  /** Undefined until a source is taken, and for a parent. */
  get family(): 4 | 6 | undefined {
    return this.#source?.family
  }

  /** Takes a source from the pool, and connects. */
  start(): void {
    const { request } = this.#owner
    const choice = this.#deps.pool.next({
      families: this.#source?.family ? [this.#source.family] : this.#families,
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
    if (this.#socket ?? this.#throughParent) this.#report('target_failed')
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
    if (isFirst) this.#owner.decided()
    this.#connect(choice.source)
  }

  #addressesFor({ family, parent }: Source): readonly TargetAddress[] {
    const { target, addresses } = this.#owner.request
    if (parent?.dns === 'remote') return [nameAddress(target.host)]
    return addresses.filter((one) => family === undefined || one.family === family).slice(0, maxAddresses)
  }

  #connect(source: Source): void {
    const { request, deadlineMs } = this.#owner
    const { clock, parents, ports } = this.#deps
    const [to] = this.#addresses
    // The pool returned a family that was not requested.
    if (to === undefined) {
      this.#end({ kind: 'no_family' })
      return
    }
    this.#startedMs = clock.nowMs()
    this.#portsTried = 0
    if (source.parent === undefined) {
      this.#open(source, to, ports.next())
      this.#limitAddress(source)
      return
    }
    const target = { host: to.address, port: request.target.port }
    this.#reachMs ??= (deadlineMs - this.#startedMs) * reachShare
    this.#throughParent = parents.start(source.parent, target, {
      reachMs: this.#reachMs,
      onReached: () => this.#limitAddress(source),
      onEnd: (end) => this.#throughParentEnded(source, to, end),
    })
  }

  /** Of several addresses each has its share of the time that is left, the last all of it. */
  #limitAddress(source: Source): void {
    const left = this.#addresses.length
    if (left === 1) return
    const leftMs = this.#owner.deadlineMs - this.#deps.clock.nowMs()
    this.#timer = setTimeout(() => this.#nextAddress(source, 'ETIMEDOUT'), leftMs / left)
  }

  #throughParentEnded(source: Source, to: TargetAddress, end: ParentEnd): void {
    if (end.kind === 'connected') {
      this.#deps.connections.add(source, end.socket)
      this.#connected(source, to, end.socket)
    } else if (end.kind === 'target_failed') this.#nextAddress(source, end.code)
    else if (end.kind === 'own_lack') this.#end(end)
    else this.#nextSource(source, 'parent_failed', end.code)
  }

  /** Of this machine: binds a local port of the source, unless the system chooses what the connection leaves from. */
  #open(source: Source, { address }: TargetAddress, localPort: number): void {
    const { target, onread } = this.#owner.request
    const to: TcpNetConnectOpts = { host: address, port: target.port, allowHalfOpen: true, noDelay: true }
    if (onread) to.onread = onread
    const isBound = source.address !== ''
    if (isBound) {
      to.localAddress = source.address
      // TCP connects a port with itself if source and target are equal (RFC 9293 §3.5, simultaneous open).
      const isSelf = localPort === target.port && source.address === address
      to.localPort = isSelf ? this.#deps.ports.leap() : localPort
    }
    this.#portsTried += 1
    const socket = connect(to).on('connect', this.#onConnect).on('error', this.#onError)
    this.#socket = socket
    this.#deps.connections.add(source, socket)
  }

  readonly #onConnect = (): void => {
    const [source, socket, [to]] = [this.#source, this.#socket, this.#addresses]
    if (source === undefined || socket === undefined || to === undefined) return
    const isSelf = socket.localPort === socket.remotePort && socket.localAddress === socket.remoteAddress
    if (source.address === '' && isSelf) this.#nextAddress(source, 'ECONNREFUSED')
    else this.#connected(source, to, socket)
  }

  readonly #onError = (error: NodeJS.ErrnoException): void => {
    const [source, [to]] = [this.#source, this.#addresses]
    if (source === undefined || to === undefined) return
    const { code = 'EIO' } = error
    const failure = connectFailure(error)
    const isBound = source.address !== ''
    if (failure === 'not_ours') this.#nextSource(source, failure)
    else if (failure === 'own_lack') this.#end({ kind: 'own_lack', code })
    else if (failure === 'target_failed') {
      if (isBound && withoutRoute.has(code)) void this.#failWithoutRoute(source, code)
      else this.#nextAddress(source, code)
    }
    // A port that the system chooses is not retried: the system has looked at all of them.
    else if (isBound && this.#portsTried < maxPorts) this.#open(source, to, this.#deps.ports.leap())
    else this.#nextSource(source, 'no_ports')
  }

  /** Linux reports the same for a target without a route and for a source that was removed after it was bound. */
  async #failWithoutRoute(source: Source, code: string): Promise<void> {
    const socket = this.#socket
    const isSourceGone = await this.#deps.connections.isGone(source)
    // It may have been stopped, or its time have run out.
    if (this.#socket !== socket) return
    if (isSourceGone) this.#nextSource(source, 'not_ours')
    else this.#nextAddress(source, code)
  }

  #connected(source: Source, { address }: TargetAddress, socket: Socket): void {
    const durationMs = this.#deps.clock.nowMs() - this.#startedMs
    this.#report('connected')
    this.#end({ kind: 'connected', socket, source, address, durationMs })
  }

  #nextAddress(source: Source, code: string): void {
    this.#halt()
    this.#addresses = this.#addresses.slice(1)
    if (this.#addresses.length > 0) this.#connect(source)
    else {
      this.#report('target_failed')
      this.#end({ kind: 'failed', code, source })
    }
  }

  #nextSource(source: Source, outcome: 'not_ours' | 'no_ports' | 'parent_failed', detail?: string): void {
    this.#halt()
    this.#report(outcome, detail)
    this.#tried.push(source)
    if (this.#tried.length < maxSources) this.start()
    else this.#end(refusalOf(noneForNow))
  }

  #report(outcome: SourceOutcome, detail?: string): void {
    if (this.#source) this.#deps.pool.report(this.#source, this.#site, outcome, detail)
  }

  #halt(): void {
    const socket = this.#socket
    this.#throughParent?.stop()
    this.#letGo()
    // Its error event may be pending.
    socket?.on('error', () => {}).destroy()
  }

  #letGo(): void {
    clearTimeout(this.#timer)
    this.#socket?.off('connect', this.#onConnect).off('error', this.#onError)
    this.#socket = undefined
    this.#throughParent = undefined
  }

  #end(end: AttemptEnd): void {
    this.#letGo()
    this.#over = true
    this.#owner.over(end)
  }
}

const withoutRoute: ReadonlySet<string> = new Set(['ENETUNREACH', 'EHOSTUNREACH'])

/** Also if the pool fails. */
const noneForNow = { kind: 'all_out', retryAfterSeconds: 1 } as const

function refusalOf(choice: Exclude<SourceChoice, { kind: 'source' }>): AttemptEnd {
  return choice.kind === 'all_out' ? { kind: 'no_source', retryAfterSeconds: choice.retryAfterSeconds } : choice
}
