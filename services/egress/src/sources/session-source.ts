import { createHash } from 'node:crypto'
import { drawOf, keyOf, seedOf } from '@ipfleet/core/rendezvous-draw.ts'
import type { LiveSource } from './live-source.ts'
import type { IsUsable } from './rotations.ts'
import type { Session } from './source-pool.ts'

const offsetSeed = seedOf('offset')

/**
 * The key of a session at this time: its id and, if it has a time to live, the number of its period. Periods begin at
 * another moment for each session, so that not all of them change their addresses at once.
 */
export function sessionName({ id, ttlSeconds }: Session, epochMs: number): string {
  if (ttlSeconds === undefined) return `:${id}`
  const period = Math.floor(epochMs / (ttlSeconds * 1000) + drawOf(keyOf(id), offsetSeed))
  return `${period}:${id}`
}

/**
 * The first usable source in the session's own ranking of all sources (rendezvous hashing). Every replica ranks alike,
 * even one that has just started. A source that goes out moves only its own sessions, and they return when it does.
 */
export function sessionSource(
  sources: readonly LiveSource[],
  name: string,
  isUsable: IsUsable,
): LiveSource | undefined {
  const key = keyOf(name)
  let best: LiveSource | undefined
  let bestDraw = 0
  for (const source of sources) {
    const draw = drawOf(key, source.seed)
    if (draw <= bestDraw || !isUsable(source)) continue
    best = source
    bestDraw = draw
  }
  return best
}

/** Chooses the session's address of a prefix; see `LiveSource.source`. */
export function sessionEntropy(name: string): (prefix: string) => Uint8Array {
  return (prefix) => createHash('sha256').update(`${prefix} ${name}`).digest()
}
