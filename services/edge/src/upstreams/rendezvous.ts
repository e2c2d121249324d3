import { drawOf } from '@ipfleet/core/rendezvous-draw.ts'
import type { Candidate } from './balancer.ts'
import { pathKey } from './path-key.ts'

/** A member may have this many times its share of the requests under way… */
const boundFactor = 1.5
/** …and a few more, so that a nearly idle fleet keeps to its hash. */
const boundSlack = 4

/**
 * Weighted rendezvous hashing (Thaler & Ravishankar 1998, with the weights of Schindelhauer & Schomaker 2005): the
 * member with the highest score for the path's key answers it. Whoever knows the same members decides alike, and a
 * member that comes or goes moves only its own share.
 *
 * Loads are bounded (Mirrokni, Thorup & Zadimoghaddam 2016): who has far more than its share under way is passed over
 * for the next in rank, so one hot address does not drown one replica. When nobody else is left it is asked after all.
 */
export function rendezvous<M extends Candidate>(
  members: readonly M[],
  target: string,
  tried: readonly unknown[],
): M | undefined {
  let inFlight = 0
  let weights = 0
  for (const member of members) {
    inFlight += member.inFlight
    weights += member.effectiveWeight
  }
  const boundPerWeight = (boundFactor * inFlight) / weights
  const key = pathKey(target)
  let best: M | undefined
  let bestScore = 0
  let isBestWithin = false
  for (const member of members) {
    const isWithin = member.inFlight <= boundPerWeight * member.effectiveWeight + boundSlack
    if ((isBestWithin && !isWithin) || tried.includes(member)) continue
    const score = member.effectiveWeight / -Math.log(drawOf(key, member.seed))
    if (score <= bestScore && isWithin === isBestWithin) continue
    best = member
    bestScore = score
    isBestWithin = isWithin
  }
  return best
}
