import type { BackendConfig } from './backend-list.ts'
import type { FoundTables, GroupSection, Section } from './find-tables.ts'
import type { rateLimitKeys, routeKeys } from './config-tables.ts'
import { faultAt, type ConfigFault, itemAt, refused } from './given.ts'
import { leadsTo } from './listen-address.ts'

/** What is right by itself and wrong together. */
export function contradictions(tables: FoundTables): readonly ConfigFault[] {
  const { groups, routes, rateLimit } = tables
  return [
    ...groups.flatMap((group) => circles(group, tables)),
    ...routes.flatMap((route) => unknownGroup(route, groups)),
    ...routes.flatMap((route, index) => repeatedPrefix(route, routes.slice(0, index))),
    ...(rateLimit ? keysOfTheOther(rateLimit) : []),
    ...sameEndpoint(tables),
  ]
}

/** Backends that are the edge itself, so that each request would go round until the connections are used up. */
function circles(group: GroupSection, { server }: FoundTables): readonly ConfigFault[] {
  const { listen } = server.values
  if (!listen) return []
  const given = group.given?.entries.get('backends')
  const own = (group.values.backends ?? []).flatMap((backend, index) =>
    leadsTo(listen, backend) ? [{ backend, index }] : [],
  )
  return own.flatMap(({ backend, index }) => {
    if (given) return [faultAt(itemAt(given, index), 'would forward to itself: server.listen is this address')]
    const address = server.given?.entries.get('listen')
    return address
      ? [faultAt(address, `would forward to itself: upstreams.backends is not set, and then ${inWords(backend)}`)]
      : []
  })
}

function inWords({ protocol, hostname, port }: BackendConfig): string {
  return `${protocol}//${hostname}:${port}`
}

type Route = Section<typeof routeKeys>

function unknownGroup({ given, values }: Route, groups: readonly GroupSection[]): readonly ConfigFault[] {
  const name = given?.entries.get('upstreams')
  const names = groups.map((group) => group.name)
  if (!name || values.upstreams === undefined || names.includes(values.upstreams)) return []
  return refused(name, names.map((one) => JSON.stringify(one)).join(' or ')).faults
}

function repeatedPrefix({ given, values }: Route, before: readonly Route[]): readonly ConfigFault[] {
  const prefix = given?.entries.get('prefix')
  const other = before.find((route) => route.values.prefix === values.prefix)?.given?.entries.get('prefix')
  return prefix && other && values.prefix !== undefined
    ? [faultAt(prefix, `is that of the route on line ${other.line} too`)]
    : []
}

const keysOf = {
  'sliding-window': ['max_requests', 'window_seconds'],
  'token-bucket': ['burst', 'refill_per_second'],
} as const

function keysOfTheOther({ given, values }: Section<typeof rateLimitKeys>): readonly ConfigFault[] {
  const { algorithm } = values
  if (algorithm === undefined) return []
  const other = algorithm === 'sliding-window' ? 'token-bucket' : 'sliding-window'
  const entries = keysOf[other].map((name) => given?.entries.get(name)).filter((entry) => entry !== undefined)
  return entries.map((entry) => faultAt(entry, `is of algorithm = "${other}", and this is "${algorithm}"`))
}

function sameEndpoint({ server, metrics }: FoundTables): readonly ConfigFault[] {
  const { endpoint, enabled } = metrics.values
  if (!enabled || endpoint === undefined || endpoint !== server.values.probe_endpoint) return []
  const given = metrics.given?.entries.get('endpoint') ?? server.given?.entries.get('probe_endpoint')
  return given ? [faultAt(given, 'metrics.endpoint and server.probe_endpoint are the same')] : []
}
