import type { ProxyError } from '@ipfleet/core/proxy-error.ts'

/** What became of a request, filled in by the code that finds it out, and read by the access log. */
export interface RequestTrace {
  /** The outcome of the cache, from a closed set: `l1`, `l2`, `miss`, `collapsed`, `stale`, `offline`, `bypass`… */
  cache?: string
  /** The hash that stands for the API key, never the key. */
  keyId?: string
  upstreamStatus?: number
  /** Of a batch: how many items ended how, each name from a closed set. */
  items?: Readonly<Record<string, number>>
  /** What it was refused for, or failed by. */
  error?: ProxyError
  /** It came from a health check or a scrape, not from a client. */
  probe?: boolean
}

const trace = Symbol('request trace')

export function traceOf(res: object & { [trace]?: RequestTrace }): RequestTrace {
  return (res[trace] ??= {})
}
