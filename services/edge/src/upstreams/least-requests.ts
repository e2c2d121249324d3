import type { Candidate } from './balancer.ts'
import { takeTurn } from './round-robin.ts'

/**
 * Who has the fewest requests under way for its weight. All are compared, not two drawn at random, since there are few.
 * Those with equally few take turns by weight, as in nginx's `least_conn`: an idle fleet would otherwise send
 * everything to its first member, and as much to one that starts slowly as to any other.
 */
export function leastRequests<M extends Candidate>(
  members: readonly M[],
  _target: string,
  tried: readonly unknown[],
): M | undefined {
  let least = Infinity
  for (const member of members) {
    const load = member.inFlight / member.effectiveWeight
    if (load < least && !tried.includes(member)) least = load
  }
  return takeTurn(members, tried, least)
}
