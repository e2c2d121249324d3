import { redisAddress } from './redis-address.ts'
import type { RedisPlace } from './redis-problem.ts'
import type { TlsFiles } from './tls-files.ts'

/** Where Redis is, and with which credentials it is asked. */
export interface RedisAccess {
  /** See `redisUrl` for what it may be. */
  readonly url: string
  /** Instead of those of the URL. */
  readonly username?: string | undefined
  readonly password?: string | undefined
  readonly tls?: TlsFiles | undefined
  /** What the Sentinels want of their clients. */
  readonly sentinelUsername?: string | undefined
  readonly sentinelPassword?: string | undefined
  /** What Sentinels or nodes of a Cluster call a server, and where it is reached: `host:port=host:port,…`. */
  readonly natMap?: string | undefined
  /** Reading commands go to the replicas of a Cluster, which may be a little behind. */
  readonly readsReplicas?: boolean
  /** What the names of its settings begin with, for messages. Default `REDIS`. */
  readonly settings?: string | undefined
}

/** Where it is, for messages: the server, or all Sentinels. */
export function placeOf({ url, settings = 'REDIS' }: RedisAccess): RedisPlace {
  const { hosts, path, tls, topology } = redisAddress(url)
  const [first = { host: 'localhost', port: 0 }] = hosts
  return {
    at: path ?? hosts.map(({ host, port }) => hostAndPort(host, port)).join(', '),
    host: path ?? first.host,
    tls,
    isCluster: topology === 'cluster',
    settings,
  }
}

export function hostAndPort(host: string, port: number): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
}
