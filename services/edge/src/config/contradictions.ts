import { addressBlocks } from '@ipfleet/net/address-blocks.ts'
import { isTomlTable, type TomlDocument } from '@ipfleet/settings/toml-document.ts'
import type { BackendConfig, ListenAddress } from './config-kinds.ts'
import type { ConfigTables } from './config-schema.ts'

export interface Contradiction {
  readonly path: (string | number)[]
  readonly message: string
}

type Given = Pick<TomlDocument, 'has' | 'lineOf'>

const groupName = /^[a-z0-9-]{1,64}$/

/** Names of groups that are none. */
export function wrongNames({ root }: Pick<TomlDocument, 'root'>): readonly Contradiction[] {
  const groups = isTomlTable(root['groups']) ? Object.keys(root['groups']) : []
  return groups.flatMap((name) => {
    const path = ['groups', name]
    if (name === 'default') return [{ path, message: 'the group of this name is [upstreams]' }]
    return groupName.test(name) ? [] : [{ path, message: 'a name of a group is 1 to 64 of a to z, 0 to 9 and -' }]
  })
}

/** What is right by itself and wrong together. A value with a fault of its own is undefined. */
export function contradictions(tables: ConfigTables, given: Given): readonly Contradiction[] {
  return [
    ...circles(tables, given),
    ...unknownGroups(tables),
    ...repeatedPrefixes(tables, given),
    ...keysOfTheOther(tables, given),
    ...sameEndpoint(tables, given),
  ]
}

/** Backends that are the edge itself, so that each request would go round until the connections are used up. */
function circles({ server, upstreams, groups }: ConfigTables, given: Given): readonly Contradiction[] {
  const { listen } = server
  const lists = [
    { path: ['upstreams', 'backends'], backends: upstreams.backends },
    ...Object.entries(groups).map(([name, { backends }]) => ({ path: ['groups', name, 'backends'], backends })),
  ]
  const own = lists.flatMap(({ path, backends }) =>
    (backends ?? []).flatMap((backend, index) =>
      listen && backend && leadsTo(listen, backend) ? [{ path, backend, index }] : [],
    ),
  )
  return own.map(({ path, backend, index }) =>
    given.has(path)
      ? { path: [...path, index], message: 'would forward to itself: server.listen is this address' }
      : {
          path: ['server', 'listen'],
          message: `would forward to itself: upstreams.backends is not set, and then ${inWords(backend)}`,
        },
  )
}

function inWords({ protocol, hostname, port }: BackendConfig): string {
  return `${protocol}//${hostname}:${port}`
}

/** Whether a connection to `hostname` and `port` from this machine would plainly arrive at the address itself. */
function leadsTo(listen: ListenAddress, { hostname, port }: BackendConfig): boolean {
  if (port !== listen.port) return false
  if (hostname === listen.host) return true
  if (isUnspecified(listen.host)) return isLoopback(hostname) || isUnspecified(hostname)
  if (isUnspecified(hostname)) return isLoopback(listen.host)
  // Loopback has many addresses (127.0.0.2), but `localhost` is the usual of either family.
  return [hostname, listen.host].includes('localhost') && isLoopback(hostname) && isLoopback(listen.host)
}

const isLoopbackAddress = addressBlocks(['127.0.0.0/8', '::1/128'])

function isLoopback(host: string): boolean {
  return host === 'localhost' || isLoopbackAddress(host)
}

/** Means all addresses of the machine to a listener, and this machine to a client. */
function isUnspecified(host: string): boolean {
  return ['', '0.0.0.0', '::'].includes(host)
}

function unknownGroups({ routes, groups }: ConfigTables): readonly Contradiction[] {
  const names = ['default', ...Object.keys(groups)]
  const allowed = names.map((name) => JSON.stringify(name)).join(' or ')
  return routes.flatMap(({ upstreams }, index) =>
    upstreams === undefined || names.includes(upstreams)
      ? []
      : [{ path: ['routes', index, 'upstreams'], message: `got ${JSON.stringify(upstreams)}; allowed: ${allowed}` }],
  )
}

function repeatedPrefixes({ routes }: ConfigTables, given: Given): readonly Contradiction[] {
  return routes.flatMap(({ prefix }, index) => {
    const first = routes.findIndex((route) => route.prefix === prefix)
    if (prefix === undefined || first === index) return []
    const line = given.lineOf(['routes', first, 'prefix'])
    return [{ path: ['routes', index, 'prefix'], message: `is that of the route on line ${line} too` }]
  })
}

const keysOf = {
  'sliding-window': ['max_requests', 'window_seconds'],
  'token-bucket': ['burst', 'refill_per_second'],
} as const

function keysOfTheOther({ rate_limit: limit }: ConfigTables, given: Given): readonly Contradiction[] {
  const algorithm = limit?.algorithm
  if (algorithm === undefined) return []
  const other = algorithm === 'sliding-window' ? 'token-bucket' : 'sliding-window'
  return keysOf[other]
    .map((key) => ({ path: ['rate_limit', key], message: `is of algorithm = "${other}", and this is "${algorithm}"` }))
    .filter(({ path }) => given.has(path))
}

function sameEndpoint({ metrics, server }: ConfigTables, given: Given): readonly Contradiction[] {
  const { enabled, endpoint } = metrics
  if (!enabled || endpoint === undefined || endpoint !== server.probe_endpoint) return []
  const path = [
    ['metrics', 'endpoint'],
    ['server', 'probe_endpoint'],
  ].find((one) => given.has(one))
  return path ? [{ path, message: 'metrics.endpoint and server.probe_endpoint are the same' }] : []
}
