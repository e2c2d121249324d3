import { drawOf } from '@ipfleet/core/rendezvous-draw.ts'
import { takeTurn, type Weighted } from '@ipfleet/core/weighted-turns.ts'
import type { Balance } from '../config/edge-config.ts'
import { pathKey } from './path-key.ts'

/** What a balancer knows of a backend. */
export interface Candidate extends Weighted {
  /** Derived from its id: the same for every process and edge. */
  readonly seed: number
  readonly inFlight: number
}

/**
 * Chooses one of `backends` that is not among `tried`, or none when there is no other. Runs once per request, so it
 * makes as few objects as possible.
 */
export type Balancer = <B extends Candidate>(
  backends: readonly B[],
  target: string,
  tried: readonly unknown[],
) => B | undefined

export const roundRobin: Balancer = (backends, _target, tried) =>
  takeTurn(backends, tried.length === 0 ? undefined : (backend) => !tried.includes(backend))

/**
 * Chooses the backend with the fewest requests under way for its weight. All are compared, not two drawn at random,
 * since there are few. Equals take turns by weight, as in nginx's `least_conn`: an idle fleet would otherwise send
 * everything to its first backend, and as much to one that starts slowly as to any other.
 */
export const leastRequests: Balancer = (backends, _target, tried) => {
  let least = Infinity
  for (const backend of backends) {
    const load = loadOf(backend)
    if (load < least && !tried.includes(backend)) least = load
  }
  return takeTurn(backends, (backend) => loadOf(backend) <= least && !tried.includes(backend))
}

function loadOf({ inFlight, effectiveWeight }: Candidate): number {
  return inFlight / effectiveWeight
}

/** A backend may have this many times its share of the requests under way… */
const boundFactor = 1.5
/** …and a few more, so that a nearly idle fleet keeps to its hash. */
const boundSlack = 4

/**
 * Weighted rendezvous hashing (Thaler & Ravishankar 1998, with the weights of Schindelhauer & Schomaker 2005): the
 * backend with the highest score for the path's key answers it. Edges with the same backends decide alike, and a
 * backend that comes or goes moves only its own share.
 *
 * Loads are bounded (Mirrokni, Thorup & Zadimoghaddam 2016): a backend with far more than its share under way is passed
 * over for the next in rank, so one hot address does not drown one replica. When no other is left it is asked after all.
 */
export const rendezvous: Balancer = <B extends Candidate>(
  backends: readonly B[],
  target: string,
  tried: readonly unknown[],
) => {
  let inFlight = 0
  let weights = 0
  for (const backend of backends) {
    inFlight += backend.inFlight
    weights += backend.effectiveWeight
  }
  const boundPerWeight = (boundFactor * inFlight) / weights
  const key = pathKey(target)
  let best: B | undefined
  let bestScore = 0
  let isBestWithin = false
  for (const backend of backends) {
    const isWithin = backend.inFlight <= boundPerWeight * backend.effectiveWeight + boundSlack
    if ((isBestWithin && !isWithin) || tried.includes(backend)) continue
    const score = backend.effectiveWeight / -Math.log(drawOf(key, backend.seed))
    if (score <= bestScore && isWithin === isBestWithin) continue
    best = backend
    bestScore = score
    isBestWithin = isWithin
  }
  return best
}

/** All of them honour weights; `weighted` is another name for the round robin that does. */
export const balancers: Readonly<Record<Balance, Balancer>> = {
  'round-robin': roundRobin,
  weighted: roundRobin,
  'least-requests': leastRequests,
  hash: rendezvous,
}

/**
 * Sets the turns to what they are after so many from a fresh start: processes that know the same backends then go on
 * alike. Backends whose weights differ keep the turns that their process has given them, which share as evenly.
 */
export function alignTurns(backends: readonly Candidate[], turns: number): void {
  const weight = backends[0]?.effectiveWeight ?? 0
  if (backends.some(({ effectiveWeight }) => effectiveWeight !== weight)) return
  const taken = turns % backends.length
  for (const [index, backend] of backends.entries()) {
    backend.turn = weight * (index < taken ? taken - backends.length : taken)
  }
}
