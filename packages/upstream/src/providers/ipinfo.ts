import type { UpstreamAnswer } from '../reply.ts'
import { classify } from '../classify.ts'
import { quotaOf } from '../quota-headers.ts'
import type { Provider } from './provider.ts'

export interface IpinfoHosts {
  /** Scheme, host and optional path prefix, without a slash at the end; `ipinfo.io`. */
  readonly legacy: string
  /** The same of the newer products: `api.ipinfo.io`. */
  readonly api: string
}

/** Lite is not limited, and `/me` is the account itself. */
const free = /^\/(lite\/|me$|batch\/lite)/

/** ipinfo.io. Questions and answers are its own, so that nothing is translated. */
export function ipinfo(hosts: IpinfoHosts): Provider {
  return {
    takesBatches: true,
    urlOf: ({ surface, path }) => `${hosts[surface]}${path}`,
    credentials: (key) => ({ authorization: `Bearer ${key}` }),
    unitsOf: ({ path }) => (free.test(path) ? 0 : 1),
    read: (heard, headers, { expected }) => {
      // IPinfo sent no such fields in 2024; where one of its hosts begins to, they are believed.
      const quota = quotaOf(headers)
      return { ...classify(heard, headers, expected, { isUnknownToken }), ...(quota && { quota }) }
    },
  }
}

/** 403 `Unknown token`, or `Invalid API token` where accounts are concerned. */
function isUnknownToken({ body }: UpstreamAnswer): boolean {
  return /unknown token|invalid (api )?(token|key)/i.test(body.toString('utf8', 0, 1000))
}
