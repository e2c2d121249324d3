import type { ChunkResult } from '@ipfleet/fleet-client/chunk-result.ts'
import type { RequestScope } from '@ipfleet/http-server/request-id.ts'
import type { PartSummary } from '@ipfleet/ip-lists/ip-summary.ts'

/**
 * `receiving`: the body is still coming in, and the job is not visible yet. `queued`: nothing of it has been looked up.
 * `completed` and `cancelled` are ends; results can be read until they expire.
 */
export type JobState = 'receiving' | 'queued' | 'running' | 'completed' | 'cancelled'

export type CallbackState = 'waiting' | 'delivered' | 'dead'

export interface Callback {
  readonly url: string
  readonly state: CallbackState
  readonly attempts: number
  /** Why the last attempt failed, as a class: `timeout`, `status`. */
  readonly reason?: string
}

export interface LineCounts {
  /** Inputs; grows while the body comes in. */
  readonly total: number
  readonly done: number
  /** Of those done: with a record. */
  readonly answered: number
  /** Of those done: with an error instead. */
  readonly errors: number
  /** Of those answered: those for which upstream was not asked. */
  readonly cached: number
}

/** A list of inputs and how far it has come. Times are in milliseconds since 1970, by the clock of Redis. */
export interface Job {
  readonly id: string
  readonly state: JobState
  /** The client that owns it (`clientId`), or `everyone` where clients have no tokens. */
  readonly owner: string
  /** In whose share of the store it is: the owner, or where clients have no tokens the address that it came from. */
  readonly holder: string
  readonly createdMs: number
  readonly startedMs?: number
  readonly finishedMs?: number
  readonly expiresMs?: number
  readonly lines: LineCounts
  readonly chunks: { readonly total: number; readonly done: number }
  /** Error lines by code. */
  readonly errors: Readonly<Record<string, number>>
  /** Members of the record that are wanted; undefined: all. */
  readonly fields?: readonly string[]
  readonly callback?: Callback
  /** Its client is over its share of a store that is nearly full. */
  readonly isWaitingForRoom: boolean
  /** Lines a second, of late. */
  readonly rate: number
  /** What inputs and results of it take in Redis. */
  readonly storedBytes: number
  /** Random, of 128 bits: who knows it may see the report. Jobs of releases before 0.2 have none. */
  readonly reportId?: string
  /** Of the body as it came: it distinguishes a repeated request from another one under the same key. */
  readonly fingerprint?: string
}

export type Begun =
  | {
      readonly kind: 'inputs'
      readonly inputs: readonly string[]
      readonly owner: string
      readonly holder: string
      readonly fields?: readonly string[]
      /** That brought the job. */
      readonly request?: RequestScope
    }
  /** It has its results already. */
  | { readonly kind: 'finished' }
  /** The job was cancelled or removed. */
  | { readonly kind: 'gone' }

/** `known`: another worker has stored its results first. `completed`: it was the last chunk of its job. */
export type Finished = 'stored' | 'known' | 'completed' | 'gone'

/** A chunk that is done. */
export interface SummedResult extends ChunkResult {
  readonly summary: PartSummary
}

/** A chunk among the results of its job. */
export interface ChunkExtent {
  readonly index: number
  readonly lines: number
  /** Length of its NDJSON; undefined until it is done. */
  readonly bytes: number | undefined
}

/** The owner of jobs where clients have no tokens. */
export const everyone = 'everyone'

export const hasEnded = ({ state }: Pick<Job, 'state'>): boolean => state === 'completed' || state === 'cancelled'

/** Whether its completion is still to be notified. */
export const isCallbackDue = ({ state, callback }: Pick<Job, 'state' | 'callback'>): boolean =>
  state === 'completed' && callback?.state === 'waiting'
