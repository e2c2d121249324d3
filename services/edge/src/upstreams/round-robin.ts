import type { Candidate } from './balancer.ts'

/** By turns, each member as often as its weight says. */
export function roundRobin<M extends Candidate>(
  members: readonly M[],
  _target: string,
  tried: readonly unknown[],
): M | undefined {
  return takeTurn(members, tried, Infinity)
}

/**
 * Smooth weighted round robin, as in nginx (`ngx_http_upstream_round_robin.c`): each turn every candidate gains its
 * weight, the foremost is chosen and falls back by the sum of them. The turns of a heavy member are thus spread out,
 * and with equal weights the members strictly alternate. Takes part who has at most `mostLoad` requests under way for
 * each unit of weight.
 */
export function takeTurn<M extends Candidate>(
  members: readonly M[],
  tried: readonly unknown[],
  mostLoad: number,
): M | undefined {
  let chosen: M | undefined
  let total = 0
  for (const member of members) {
    if (member.inFlight / member.effectiveWeight > mostLoad || tried.includes(member)) continue
    member.turn += member.effectiveWeight
    total += member.effectiveWeight
    if (chosen === undefined || member.turn > chosen.turn) chosen = member
  }
  if (chosen !== undefined) chosen.turn -= total
  return chosen
}
