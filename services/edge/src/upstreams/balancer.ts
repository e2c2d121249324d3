/** What a balancer knows of a member. */
export interface Candidate {
  /** Of its id: the same for every process and edge. */
  readonly seed: number
  readonly inFlight: number
  /** More than 0, up to the configured weight. */
  readonly effectiveWeight: number
  /** How far it is ahead of its share of the turns; kept by the balancers. */
  turn: number
}

/**
 * Chooses one of `members` that is not among `tried`, or none when there is no other. Runs once per request, so it
 * makes no objects.
 */
export type Balancer = <M extends Candidate>(
  members: readonly M[],
  target: string,
  tried: readonly unknown[],
) => M | undefined
