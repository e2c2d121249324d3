/**
 * What `world-shapes.json` holds: the world as d3-geo draws it, Equal Earth, fitted into `width` by `height` less
 * `margin` on each side. It is kept, since reading and projecting the originals takes a process a third of a second.
 */
export interface WorldShapes {
  readonly width: number
  readonly height: number
  readonly margin: number
  /** All countries that there are, those with a path first, so that points lie above them. */
  readonly countries: readonly CountryShape[]
}

/** A country as it is drawn: a path, or for those too small for a map of the world a point. */
export interface CountryShape {
  /** ISO 3166-1 alpha-2; undefined for a territory without one. */
  readonly code?: string
  readonly drawn: { readonly path: string } | { readonly x: number; readonly y: number }
}
