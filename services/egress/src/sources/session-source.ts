import { createHash } from 'node:crypto'
import { drawOf, keyOf, seedOf } from '@ipfleet/core/rendezvous-draw.ts'
import type { LiveSource } from './live-source.ts'
import type { IsUsable } from './rotations.ts'
import type { Session } from './source-pool.ts'

const offsetSeed = seedOf('offset')

/**
 * What a session is known by for the time being: its id, and, when it has a time to live, in which of its periods it
 * is. Periods begin at another moment for each session, or all of them would change their addresses at once.
 */
export function sessionName({ id, ttlSeconds }: Session, epochMs: number): string {
  if (ttlSeconds === undefined) return `:${id}`
  const period = Math.floor(epochMs / (ttlSeconds * 1000) + drawOf(keyOf(id), offsetSeed))
  return `${period}:${id}`
}

/**
 * The first of the usable sources in the session's own ranking of all of them (rendezvous hashing). Every replica,
 * also one that has just started, ranks alike; a source that goes out moves its own sessions only, and they return
 * to it with it.
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

/** Which address of a prefix the session has; see `LiveSource.source`. */
export function sessionEntropy(name: string): (prefix: string) => Uint8Array {
  return (prefix) => createHash('sha256').update(`${prefix} ${name}`).digest()
}
