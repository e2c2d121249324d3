/** What runs Redis: one server, a master that Sentinels name, or the nodes of a Cluster. */
export type Topology = 'server' | 'sentinel' | 'cluster'

export interface RedisHost {
  readonly host: string
  readonly port: number
}

/** What a URL says of where Redis is and who asks. */
export interface RedisAddress {
  readonly topology: Topology
  /** The server; the Sentinels; some nodes of the Cluster. None for a Unix socket. */
  readonly hosts: readonly RedisHost[]
  /** Of a Unix socket. */
  readonly path: string | undefined
  /** What the Sentinels call the master. */
  readonly masterName: string | undefined
  readonly db: number
  readonly tls: boolean
  readonly username: string | undefined
  readonly password: string | undefined
}

const topologies: Readonly<Record<string, Topology>> = {
  'redis:': 'server',
  'rediss:': 'server',
  'unix:': 'server',
  'redis+sentinel:': 'sentinel',
  'rediss+sentinel:': 'sentinel',
  'redis+cluster:': 'cluster',
  'rediss+cluster:': 'cluster',
}

/** With their colon. */
export const redisProtocols: readonly string[] = Object.keys(topologies)

/** Those whose URLs may name several hosts, separated by commas. */
export const severalHosts: readonly string[] = redisProtocols.filter((name) => topologies[name] !== 'server')

const parts = /^(?<protocol>[a-z+]+:)(?:\/\/(?:(?<user>.*)@)?(?<hosts>[^/?#@]*))?(?<rest>.*)$/is

/** Reads a URL that `urlFault` finds nothing wrong with. */
export function redisAddress(url: string): RedisAddress {
  const { protocol = '', user = '', hosts = '', rest = '' } = parts.exec(url)?.groups ?? {}
  const topology = topologies[protocol.toLowerCase()] ?? 'server'
  const isSocket = protocol.toLowerCase() === 'unix:'
  const [path = '', query = ''] = rest.split('?')
  const segments = path.split('/').filter((segment) => segment !== '')
  const colon = user.indexOf(':')
  return {
    topology,
    hosts: isSocket ? [] : hosts.split(',').map((host) => hostOf(host, topology)),
    path: isSocket ? decodeURIComponent(path) : undefined,
    masterName: topology === 'sentinel' ? decodeURIComponent(segments[0] ?? '') : undefined,
    db: Number(isSocket ? (/^db=(\d+)$/.exec(query)?.[1] ?? 0) : (segments[topology === 'sentinel' ? 1 : 0] ?? 0)),
    tls: protocol.toLowerCase().startsWith('rediss'),
    username: decoded(colon < 0 ? user : user.slice(0, colon)),
    password: colon < 0 ? undefined : decoded(user.slice(colon + 1)),
  }
}

function hostOf(text: string, topology: Topology): RedisHost {
  const [, bracketed, plain = '', port] = /^(?:\[(.*)\]|([^:]*))(?::(\d*))?$/.exec(text) ?? []
  return { host: bracketed ?? plain, port: Number(port || (topology === 'sentinel' ? 26_379 : 6379)) }
}

function decoded(text: string): string | undefined {
  return text === '' ? undefined : decodeURIComponent(text)
}

/** What is wrong with a URL of Redis, of one host only here, in words without it: it may hold a password. */
export function redisUrlFault(url: URL): string | undefined {
  const { protocol, hostname, pathname, search } = url
  if (protocol === 'unix:') return socketFault(url)
  if (search !== '') return 'a query in it is not used'
  if (hostname.includes(',')) return 'it names several hosts: that is for redis+cluster:// and redis+sentinel://'
  if (topologies[protocol] === 'cluster') return clusterFault(pathname)
  if (topologies[protocol] === 'sentinel') return sentinelFault(pathname)
  // ioredis 6.0.0 takes what is no number for one, and ends the process when the server refuses it.
  if (/^\/?(\d{1,5}\/?)?$/.test(pathname)) return undefined
  return 'after the host comes the number of a database, if anything; in a user or password / is written %2F, @ %40 and ? %3F'
}

function socketFault({ hostname, search }: URL): string | undefined {
  if (hostname !== '') return 'there is a host in it: a socket is unix:///path'
  if (!/^(\?db=\d{1,5})?$/.test(search)) return 'after the path comes ?db= and the number of a database, if anything'
  return undefined
}

function clusterFault(pathname: string): string | undefined {
  return /^(\/0?)?$/.test(pathname) ? undefined : 'a Cluster has database 0 only; REDIS_PREFIX keeps fleets apart'
}

function sentinelFault(pathname: string): string | undefined {
  return /^\/[^/]+(\/\d{1,5})?\/?$/.test(pathname)
    ? undefined
    : 'after the Sentinels come the name of the master and, if need be, the number of a database: redis+sentinel://host1,host2/mymaster/0'
}
