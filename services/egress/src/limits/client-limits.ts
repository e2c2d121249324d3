import type { Socket } from 'node:net'
import { Counts } from '@ipfleet/core/counts.ts'
import { wholeSeconds } from '@ipfleet/core/whole-seconds.ts'
import { addressSubject } from '@ipfleet/net/address-subject.ts'
import type { RawFields } from '@ipfleet/proxy/http1/exchange-types.ts'
import type { TunnelReport, Tunnels } from '@ipfleet/proxy/http1/tunnels.ts'
import type { TokenBucket } from '@ipfleet/rate-limit/policy.ts'
import { policyMember, standingMember } from '@ipfleet/rate-limit/rate-limit-fields.ts'
import type { Decision, PromptRateLimiter } from '@ipfleet/rate-limit/rate-limiter.ts'
import type { Identity } from '../auth/authenticator.ts'
import type { Dialled } from '../dial/dial-request.ts'
import { refusal } from '../proxy/proxy-status.ts'
import type { RequestContext, RequestRecord } from '../proxy/request-record.ts'
import type { Source } from '../sources/source-pool.ts'

/** For the answer to a request over the limit. */
export interface OverLimit {
  readonly fields: RawFields
  readonly retryAfterSeconds: number
}

export type LimitVerdict = 'allowed' | 'limited'

/** Limits the requests of each client or user with a token bucket that all replicas count together. */
export class ClientLimits {
  readonly counts: Record<LimitVerdict, number> = { allowed: 0, limited: 0 }
  readonly #limiter: PromptRateLimiter
  readonly #defaultPolicy: TokenBucket | undefined

  /** Without `defaultPolicy`, only users with a limit of their own are limited. */
  constructor(limiter: PromptRateLimiter, defaultPolicy: TokenBucket | undefined) {
    this.#limiter = limiter
    this.#defaultPolicy = defaultPolicy
  }

  /** Takes one token. Undefined if there was one. A promise only if Redis must be asked. */
  take(client: string, { user, limit }: Identity): OverLimit | undefined | Promise<OverLimit | undefined> {
    const policy: TokenBucket | undefined = limit ? { kind: 'token-bucket', ...limit } : this.#defaultPolicy
    if (policy === undefined) return undefined
    const who = user === undefined ? addressSubject(client) : `user:${user}`
    // A count by another policy, before a reload, is not continued.
    const subject = `${policy.burst}-${policy.refillPerSecond}:${who}`
    const known = this.#limiter.takeNow(subject, policy)
    if (known) return this.#over(policy, known)
    return this.#limiter.take(subject, policy).then((decision) => this.#over(policy, decision))
  }

  close(): Promise<void> {
    return this.#limiter.close()
  }

  #over(policy: TokenBucket, decision: Decision): OverLimit | undefined {
    this.counts[decision.kind] += 1
    if (decision.kind === 'allowed') return undefined
    return {
      fields: ['RateLimit-Policy', policyMember('client', policy), 'RateLimit', standingMember('client', decision)],
      retryAfterSeconds: wholeSeconds(decision.retryAfterMs),
    }
  }
}

export interface TunnelLimiterOptions {
  readonly maxTunnels: number
  /** 0: no limit. */
  readonly maxTunnelsPerClient: number
}

/** A slot for one tunnel, from before it is dialled until it has ended. */
export interface TunnelSlot {
  readonly holder: string
  isHeld: boolean
}

export interface TunnelClient {
  readonly socket: Socket
  /** What came behind its request. */
  readonly early: Buffer
  /** What it is told when the tunnel stands. Text is latin-1. */
  readonly established: (source: Source) => Buffer | string
}

/** Limits open tunnels, in all and for each client or user. A tunnel comes from CONNECT or from a switch of protocols. */
export class TunnelLimiter {
  readonly #tunnels: Tunnels
  readonly #options: TunnelLimiterOptions
  readonly #record: Pick<RequestRecord, 'tunnelOpened' | 'tunnelEnded'>
  #slots = 0
  readonly #byHolder = new Counts()

  constructor(
    tunnels: Tunnels,
    options: TunnelLimiterOptions,
    record: Pick<RequestRecord, 'tunnelOpened' | 'tunnelEnded'>,
  ) {
    this.#tunnels = tunnels
    this.#options = options
    this.#record = record
  }

  /** @throws Refusal when there are too many */
  reserve(client: string, { user, maxTunnels = this.#options.maxTunnelsPerClient }: Identity): TunnelSlot {
    const holder = user ?? client
    const held = this.#byHolder.of(holder)
    if (maxTunnels > 0 && held >= maxTunnels) {
      throw refusal('rate_limited', 'connection_limit_reached', 'tunnels of the client', {
        message: 'You have as many tunnels open as you may; close one first',
        retryAfterSeconds: 1,
      })
    }
    if (this.#slots >= this.#options.maxTunnels) {
      throw refusal('overloaded', 'connection_limit_reached', 'tunnels in all', { retryAfterSeconds: 1 })
    }
    this.#byHolder.add(holder, 1)
    this.#slots += 1
    return { holder, isHeld: true }
  }

  /** May be called more than once. */
  release(slot: TunnelSlot): void {
    if (!slot.isHeld) return
    slot.isHeld = false
    this.#slots -= 1
    this.#byHolder.add(slot.holder, -1)
  }

  /** The tunnel is open, and the client has got this status. */
  opened(context: RequestContext, source: Source, status: number): void {
    this.#record.tunnelOpened(source)
    context.end(status)
  }

  ended(context: RequestContext, slot: TunnelSlot, report: TunnelReport): void {
    this.release(slot)
    this.#record.tunnelEnded(context, report)
  }

  /** Tells the client that its tunnel stands, and joins both sides. */
  open(
    context: RequestContext,
    client: TunnelClient,
    { socket, source }: Extract<Dialled, { kind: 'connected' }>,
    slot: TunnelSlot,
  ): void {
    client.socket.write(client.established(source), 'latin1')
    this.opened(context, source, 200)
    const early = { fromClient: client.early, fromServer: nothing }
    // The number only: the bytes would be kept as long as the tunnel is open.
    const earlyUp = client.early.length
    this.#tunnels.join(client.socket, socket, early, (report) => {
      this.ended(context, slot, { ...report, bytesUp: report.bytesUp + earlyUp })
    })
  }
}

const nothing = Buffer.alloc(0)
