import type { RouteConfig } from '../config/edge-config.ts'

/** What the edge does with a request by its path. */
export type Route = Pick<RouteConfig, 'upstreams' | 'maxBodyBytes' | 'hedgeAfterMs'>

const defaultRoute: Route = { upstreams: 'default', maxBodyBytes: undefined, hedgeAfterMs: undefined }

/**
 * Which group answers a path: the longest prefix of whole segments, and `default` for what matches none.
 *
 * It is the raw path that is compared, letter by letter, since the raw path is what the chosen backend will read:
 * nothing is decoded or resolved that the backend then sees in another way. `/%6aobs`, `/JOBS` and `//jobs` are thus not
 * `/jobs`, and `/jobs/../x` is below it. Routes say which group answers, not which clients may ask; what no client may ask is up to
 * `HiddenPaths`, for which every spelling counts.
 */
export class Routes {
  readonly #longestFirst: readonly { readonly prefix: string; readonly route: Route }[]

  constructor(routes: readonly RouteConfig[]) {
    this.#longestFirst = routes
      .map((route) => ({ prefix: route.prefix.replace(/\/+$/, ''), route }))
      .toSorted((one, other) => other.prefix.length - one.prefix.length)
  }

  /** @param target path and query, as in the request line */
  routeFor(target: string): Route {
    for (const { prefix, route } of this.#longestFirst) {
      if (target.startsWith(prefix) && isSegmentEnd(target.charAt(prefix.length))) return route
    }
    return defaultRoute
  }
}

function isSegmentEnd(next: string): boolean {
  return next === '' || next === '/' || next === '?' || next === '#'
}
