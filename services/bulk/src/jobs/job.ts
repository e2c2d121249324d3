/**
 * `receiving`: the body is still coming in, and nobody sees the job yet. `queued`: nothing of it has been looked up.
 * `completed` and `cancelled` are ends; what there is can be read until it expires.
 */
export type JobState = 'receiving' | 'queued' | 'running' | 'completed' | 'cancelled'

export type CallbackState = 'waiting' | 'delivered' | 'dead'

/** Where the end of a job is told. */
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
  /** Of those answered: what upstream did not have to be asked for. */
  readonly cached: number
}

/** A list of inputs and how far it has come. Times are in milliseconds since 1970, by the clock of Redis. */
export interface Job {
  readonly id: string
  readonly state: JobState
  /** The client whose it is (`clientId`), or `everyone` where clients have no tokens. */
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
  /** Of the body as it came, so that a repeated request can be told from another one under the same key. */
  readonly fingerprint?: string
}

/** Whose jobs are when nobody has a token. */
export const everyone = 'everyone'

export const hasEnded = ({ state }: Pick<Job, 'state'>): boolean => state === 'completed' || state === 'cancelled'

/** Whether somebody waits to be told that it is done. */
export const isCallbackDue = ({ state, callback }: Pick<Job, 'state' | 'callback'>): boolean =>
  state === 'completed' && callback?.state === 'waiting'
