/** A refusal (401 or 403) that one key met, for one question. */
export interface Denial {
  /** Upstream said that it does not know the key, rather than refusing without saying what. */
  readonly unknownToken: boolean
  /** The key has answered others lately. */
  readonly proven: boolean
}

/** Who is to blame when no key got an answer: the keys, the question (they may not ask it), or upstream itself. */
export type Blame = 'keys' | 'question' | 'upstream'

/** That many keys refused alike are evidence enough; the rest need not be tried. */
export const denialsToJudge = 3

/**
 * Judges refusals that were followed by no answer from any other key. (If another key does answer, the refused ones
 * are to blame, and nobody asks here.)
 *
 * Several keys refused at once are not to blame: either upstream does not know any key for the moment, or the
 * question needs a permission that no key has. Benching them would let one such request stop the fleet. A key that
 * is alone has only its own record to speak for it.
 */
export function blameFor(denials: readonly Denial[]): Blame {
  const allUnknown = denials.every((denial) => denial.unknownToken)
  if (denials.length > 1) return allUnknown ? 'upstream' : 'question'
  if (allUnknown) return 'keys'
  return denials.every((denial) => denial.proven) ? 'question' : 'keys'
}
