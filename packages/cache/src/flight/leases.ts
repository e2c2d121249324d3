import { RedisUnavailable } from '@ipfleet/redis/redis-unavailable.ts'

/** What came of asking for the lease of a subject. */
export type Claim =
  /** `outcome`: an earlier flight's, where there is one. */
  | { readonly kind: 'leased'; readonly outcome?: Buffer | undefined }
  /** Nothing was leased, since an outcome is there. */
  | { readonly kind: 'landed'; readonly outcome: Buffer }
  /** Another replica holds the lease. `outcome`: an earlier flight's. `leaseLeftMs`: life left of it, where known. */
  | { readonly kind: 'held'; readonly outcome?: Buffer | undefined; readonly leaseLeftMs?: number | undefined }

/** Claims for the subjects that were asked for, in their order. */
export interface Claims {
  readonly claims: readonly Claim[]
  /** Of what was leased; undefined when nothing was. */
  readonly lease: Lease | undefined
}

export interface LandedOutcome {
  readonly subject: string
  readonly bytes: Buffer
  /** How long it stays for those who come late. */
  readonly keepMs: number
}

/** The right to load some subjects for the whole fleet, for a limited time. No method fails. */
export interface Lease {
  /** Whether it keeps other replicas from loading the subject as well, as far as this one knows. */
  guards(subject: string): boolean
  /** Whether no other replica can have leased any of it meanwhile, by how long ago Redis granted or prolonged it. */
  isSure(): boolean
  /** Prolongs what is still ours by its full life. A lost lease shows when its outcome is published. */
  extend(subjects: readonly string[]): Promise<unknown>
  /** Gives back early what is still ours. What is not given back runs out. */
  release(subjects: readonly string[]): Promise<void>
  /**
   * Ends the leases, leaves the outcomes for those who wait and wakes them. Returns the subjects whose lease had not
   * been lost meanwhile; undefined when Redis gave no answer.
   */
  publish(outcomes: readonly LandedOutcome[]): Promise<ReadonlySet<string> | undefined>
}

export interface ClaimOptions {
  /** Those that another replica was seen to load: its outcome is looked for first. */
  readonly awaited?: ReadonlySet<string>
  /** Outcomes that are there are of no use: lease these subjects all the same, with this lease if there is one. */
  readonly evenIfLanded?: { readonly lease: Lease | undefined }
}

export interface Leases {
  readonly lifeMs: number
  /** For one flight: what its subjects are called does not change while it goes on. @throws RedisUnavailable */
  open(): LeaseSession
}

export interface LeaseSession {
  /** @throws RedisUnavailable; what was leased all the same is given back */
  claim(subjects: readonly string[], options?: ClaimOptions): Promise<Claims>
  /** Calls back when the subject lands; messages may be lost. Returns a function that ends it. */
  onLanding(subject: string, wake: () => void): Promise<() => void>
}

/** Stands for a lease where the fleet cannot be asked: this process loads for itself. */
const noLease: Lease = {
  guards: () => false,
  isSure: () => true,
  extend: async () => {},
  release: async () => {},
  publish: async (outcomes) => new Set(outcomes.map(({ subject }) => subject)),
}

const aloneSession: LeaseSession = {
  claim: async (subjects) => ({ claims: subjects.map(() => ({ kind: 'leased' })), lease: noLease }),
  onLanding: async () => () => {},
}

/** While Redis is away each process loads for itself, once. */
export function resilientLeases(leases: Leases): Leases {
  const open = (): LeaseSession => {
    const session = leases.open()
    return {
      onLanding: (subject, wake) => session.onLanding(subject, wake),
      claim: (subjects, options) =>
        session.claim(subjects, options).catch((error) => unlessAway(error).claim(subjects, options)),
    }
  }
  return {
    lifeMs: leases.lifeMs,
    open: () => {
      try {
        return open()
      } catch (error) {
        return unlessAway(error)
      }
    },
  }
}

function unlessAway(error: unknown): LeaseSession {
  if (error instanceof RedisUnavailable) return aloneSession
  throw error
}
