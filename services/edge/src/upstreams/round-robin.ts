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
 * Puts the turns where they stand after so many from a fresh start: processes that know the same members then go on
 * alike. Members whose weights differ keep the turns that their process has given them, which share as evenly.
 */
export function alignTurns(members: readonly Candidate[], turns: number): void {
  const weight = members[0]?.effectiveWeight ?? 0
  if (members.some(({ effectiveWeight }) => effectiveWeight !== weight)) return
  const taken = turns % members.length
  for (const [index, member] of members.entries()) {
    member.turn = weight * (index < taken ? taken - members.length : taken)
  }
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
