/** The right to do one thing for the whole fleet, for a limited time. */
export interface Lease {
  readonly subject: string
  /** Proves ownership to whoever stores the result. */
  readonly token: string
  /** Prolongs it by its full life. False when it is lost: someone else may hold it now. */
  extend(): Promise<boolean>
  /** Gives it back early. Never fails: a lease that is not given back runs out. */
  release(): Promise<void>
}

export interface Leases {
  readonly lifeMs: number
  /** The lease, or undefined while someone else holds it. @throws RedisUnavailable */
  tryAcquire(subject: string): Promise<Lease | undefined>
}
