import type { Balance } from '../config/edge-config.ts'
import type { Balancer } from './balancer.ts'
import { leastRequests } from './least-requests.ts'
import { rendezvous } from './rendezvous.ts'
import { roundRobin } from './round-robin.ts'

/** Weights are honoured by all of them; `weighted` is what some call the round robin that does. */
export const balancers: Readonly<Record<Balance, Balancer>> = {
  'round-robin': roundRobin,
  weighted: roundRobin,
  'least-requests': leastRequests,
  hash: rendezvous,
}
