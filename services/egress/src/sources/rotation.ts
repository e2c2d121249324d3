import type { LiveSource } from './live-source.ts'

/** How sources follow each other. */
export type RotationName = 'round-robin' | 'random' | 'least-recently-used'

export type IsUsable = (source: LiveSource) => boolean

/** The order of the sources of one family. */
export interface Rotation {
  /** Who is next of those that are usable; undefined when none is. A promise only where the fleet is asked. */
  next(isUsable: IsUsable): LiveSource | undefined | Promise<LiveSource | undefined>
}
