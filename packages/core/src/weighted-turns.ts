/** Who takes part in weighted round robin. */
export interface Weighted {
  /** More than 0. */
  readonly effectiveWeight: number
  /** How far it is behind its share of the turns; kept by `takeTurn`. */
  turn: number
}

/**
 * Smooth weighted round robin, as in nginx (`ngx_http_upstream_round_robin.c`): at each turn every candidate gains its
 * weight, the one with most is chosen and loses the sum of them. The turns of a heavy candidate are thus spread out, and
 * with equal weights the candidates strictly alternate. Those that are not eligible neither gain nor lose.
 */
export function takeTurn<C extends Weighted>(
  candidates: readonly C[],
  isEligible?: (candidate: C) => boolean,
): C | undefined {
  let chosen: C | undefined
  let total = 0
  for (const candidate of candidates) {
    if (isEligible?.(candidate) === false) continue
    candidate.turn += candidate.effectiveWeight
    total += candidate.effectiveWeight
    if (chosen === undefined || candidate.turn > chosen.turn) chosen = candidate
  }
  if (chosen !== undefined) chosen.turn -= total
  return chosen
}
