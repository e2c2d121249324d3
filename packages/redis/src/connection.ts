import { types } from 'node:util'
import { backoffMs } from '@ipfleet/core/backoff.ts'
import { Cluster, Redis, type RedisOptions } from 'ioredis'
import { QuietSentinels, TlsConnector } from './connectors.ts'
import { hostsAsAsked } from './hosts-as-asked.ts'
import { joinedWrites } from './joined-writes.ts'
import { PromptCluster } from './prompt-cluster.ts'
import type { RedisAccess } from './redis-access.ts'
import { type RedisAddress, redisAddress, type RedisHost } from './redis-address.ts'
import { tlsOptions } from './tls-files.ts'
import { traced } from './traced-commands.ts'

export type { Redis } from 'ioredis'

/** When what a hung server never answered is given up, and its connection is; later, where a command may take longer. */
export const minCommandTimeoutMs = 2000
export const minSocketTimeoutMs = 1500

const retryCapMs = 250
const reconnectOnReadonlyEveryMs = 1000

/**
 * Options for every connection of the fleet (ioredis 6.0.0 waits over a minute on a dead server, and for ever on a
 * hung one, by default). Deadlines of single commands are kept by `RedisLink`; `socketTimeout`, on a Cluster
 * `commandTimeout` too, only clears away what a hung server never answered. Nothing is queued while disconnected and
 * nothing is resent: a command that timed out may have run.
 */
function connectionOptions(name: string): RedisOptions {
  let lastReadonlyReconnectMs = -Infinity
  return {
    connectionName: `ipfleet-${name}`,
    enableOfflineQueue: false,
    autoResendUnfulfilledCommands: false,
    maxRetriesPerRequest: 0,
    connectTimeout: 1000,
    // It would ask INFO, which not every user may. Whether the server can serve shows in what it says to commands.
    enableReadyCheck: false,
    commandTimeout: minCommandTimeoutMs,
    socketTimeout: minSocketTimeoutMs,
    keepAlive: 5000,
    // How long `disconnect` waits for the server before it destroys the socket.
    disconnectTimeout: 100,
    retryStrategy: (attempt) => backoffMs(attempt, { firstMs: 20, maxMs: retryCapMs }),
    // After a failover the old primary answers READONLY; a new connection may reach the new one. Capped, since a
    // server that stays a replica would otherwise be reconnected to on every command.
    reconnectOnError: (error) => {
      if (!error.message.startsWith('READONLY')) return false
      const nowMs = performance.now()
      if (nowMs - lastReadonlyReconnectMs < reconnectOnReadonlyEveryMs) return false
      lastReadonlyReconnectMs = nowMs
      return 1
    },
  }
}

function accessOptions(access: RedisAccess, address: RedisAddress): RedisOptions {
  const username = access.username ?? address.username
  const password = access.password ?? address.password
  const tls = address.tls ? tlsOptions(access.tls ?? {}) : undefined
  return {
    db: address.db,
    ...(username !== undefined && { username }),
    ...(password !== undefined && { password }),
    ...(tls && { tls, Connector: TlsConnector }),
    ...(address.topology === 'sentinel' ? sentinelOptions(access, address) : serverOptions(address)),
  }
}

function serverOptions({ path, hosts: [first] }: RedisAddress): RedisOptions {
  return path === undefined ? { ...first } : { path }
}

/**
 * Whom the Sentinels name is asked at each connect. Without `failoverDetector` a client (ioredis 6.0.0) stays with a
 * master that is frozen, or that lost its office without losing its connections, and what it writes there is lost.
 */
function sentinelOptions(access: RedisAccess, { hosts, masterName, tls }: RedisAddress): RedisOptions {
  const { sentinelUsername, sentinelPassword } = access
  return {
    sentinels: [...hosts],
    ...(masterName !== undefined && { name: masterName }),
    ...(sentinelUsername !== undefined && { sentinelUsername }),
    ...(sentinelPassword !== undefined && { sentinelPassword }),
    ...(tls && { enableTLSForSentinelMode: true, sentinelTLS: tlsOptions(access.tls ?? {}) }),
    // Sentinels tell addresses of each other, which their certificates need not be for: those of the URL are asked.
    ...(tls && { updateSentinels: false }),
    Connector: QuietSentinels,
    sentinelCommandTimeout: 1000,
    sentinelRetryStrategy: (attempt) => backoffMs(attempt, { firstMs: 20, maxMs: retryCapMs }),
    sentinelReconnectStrategy: (attempt) => backoffMs(attempt, { firstMs: 20, maxMs: 1000 }),
    failoverDetector: true,
    ...natMapOf(access),
  }
}

function natMapOf({ natMap }: RedisAccess): Pick<RedisOptions, 'natMap'> {
  if (natMap === undefined) return {}
  // ioredis 6.0.0 writes IPv6 without brackets, before a port too.
  const pairs = natMap
    .split(',')
    .map((pair) => pair.replace(/[[\]]/g, '').split('=') as [inside: string, outside: string])
  return {
    natMap: Object.fromEntries(
      pairs.map(([inside, outside]) => {
        const colon = outside.lastIndexOf(':')
        return [inside, { host: outside.slice(0, colon), port: Number(outside.slice(colon + 1)) }]
      }),
    ),
  }
}

/**
 * ioredis 6.0.0 goes on in database 0 when the server has no database of the given number, or the user may not select
 * it. Another database is another fleet's: the connection is given up instead, and made again.
 */
function staysInItsDatabase(client: Redis): Redis {
  return client.on('error', (error: unknown) => {
    if (isOfSelect(error)) client.disconnect(true)
  })
}

function isOfSelect(error: unknown): boolean {
  const command: unknown = types.isNativeError(error) && 'command' in error ? error.command : undefined
  return typeof command === 'object' && command !== null && 'name' in command && command.name === 'select'
}

/**
 * One connection that retries for ever. Errors come as `close` events and rejected commands; the `error` event
 * itself only needs a listener so that it does not end the process.
 */
export function connect(access: RedisAccess, name: string, options: RedisOptions = {}, isPrompt = false): Redis {
  const address = redisAddress(access.url)
  const all = { ...connectionOptions(name), ...accessOptions(access, address), ...options }
  return address.topology === 'cluster' ? traced(clusterClient(access, all, isPrompt)) : traced(single(all))
}

/** As `connect`, for a caller that knows what to do when the slot of its keys is half moved. */
export function connectPromptly(access: RedisAccess, name: string, options: RedisOptions): Redis {
  return connect(access, name, options, true)
}

function single(all: RedisOptions): Redis {
  return joinedWrites(staysInItsDatabase(new Redis({ ...all, replyMapping: 'legacy' })))
}

/**
 * A connection to each node of a Cluster. It has the commands of one to a server, and what else of a client is used here:
 * `status`, `disconnect`, `ready`, `close`.
 *
 * ioredis 6.0.0 gives a command up after 16 tries, which is over before another node has taken a dead one's place; the
 * deadlines of single commands hold all the same. Nothing is sent in a pipeline: while a slot moves, it would read keys
 * as absent that are not. Host names stay names, as certificates have them.
 */
function clusterClient(access: RedisAccess, all: RedisOptions, isPrompt: boolean): Redis {
  const { hosts } = redisAddress(access.url)
  const { enableOfflineQueue, db: _zero, host: _one, port: _its, retryStrategy: _none, ...redisOptions } = all
  const cluster = new (isPrompt ? PromptCluster : Cluster)([...hosts], {
    redisOptions: { ...redisOptions, replyMapping: 'legacy' },
    enableOfflineQueue,
    // It would ask CLUSTER INFO. Whether the nodes can serve shows in what they say to commands.
    enableReadyCheck: false,
    maxRedirections: 100,
    retryDelayOnMoved: 100,
    slotsRefreshInterval: 10_000,
    clusterRetryStrategy: (attempt) => backoffMs(attempt, { firstMs: 20, maxMs: retryCapMs }),
    dnsLookup: (host, callback) => callback(null, host),
    ...natMapOf(access),
    ...(access.readsReplicas === true && { scaleReads: 'slave' }),
  })
  cluster.on('error', () => {})
  return hostsAsAsked(cluster) as unknown as Redis
}

/**
 * One connection to a node of a Cluster, another one of those in the URL each time when it is lost; else as `connect`. For
 * what all nodes tell: published messages. ioredis 6.0.0 has no event for a lost subscriber of its Cluster.
 */
export function connectToOne(access: RedisAccess, name: string, options: RedisOptions = {}): Redis {
  const address = redisAddress(access.url)
  if (address.topology !== 'cluster') return connect(access, name, options)
  const { hosts } = address
  let at = Math.floor(Math.random() * hosts.length)
  const client: Redis = single({
    ...connectionOptions(name),
    ...accessOptions(access, address),
    ...options,
    ...hosts[at],
    retryStrategy: (attempt) => {
      at = (at + 1) % hosts.length
      // They are read at the next connect.
      Object.assign(client.options, hosts[at])
      return backoffMs(attempt, { firstMs: 20, maxMs: retryCapMs })
    },
  })
  return client
}

/**
 * What hinders a connection to the Sentinels or nodes of the URL, each asked once: ioredis 6.0.0 tells of those only that
 * none of them answers. Of one server, it tells by itself.
 */
export async function connectionErrors(access: RedisAccess, name: string): Promise<ReadonlyMap<RedisHost, Error>> {
  const address = redisAddress(access.url)
  const errors = new Map<RedisHost, Error>()
  const tls = address.tls ? { tls: tlsOptions(access.tls ?? {}), Connector: TlsConnector } : {}
  await Promise.all(
    address.hosts.map(async (host) => {
      // Without a user: it is asked nothing.
      const client = single({
        ...connectionOptions(name),
        ...tls,
        ...host,
        retryStrategy: () => null,
        lazyConnect: true,
      })
      client.once('error', (error) => errors.set(host, error))
      await client.connect().catch(() => {})
      client.disconnect()
    }),
  )
  return errors
}

/** Read by BullMQ (6.7.0) from the options of a connection: it asks INFO for the version otherwise, and never again. */
const forBullMq = { skipVersionCheck: true }

/**
 * A connection for workers of a queue (BullMQ 6.7), which block on their commands for seconds and wait for a server that
 * is away: no deadline, and what is asked meanwhile waits. What was under way is asked again, for else it would never be
 * answered, and the worker wait for it until its process ends (ioredis 6.0.0). What has run twice is found as stalled.
 */
export function blockingConnection(access: RedisAccess, name: string): Redis {
  return connect(access, name, {
    ...forBullMq,
    commandTimeout: undefined,
    maxRetriesPerRequest: null,
    autoResendUnfulfilledCommands: true,
    enableOfflineQueue: true,
    // Longer than they block: 10 s.
    socketTimeout: 20_000,
  })
}

/** Some seconds without an answer are a failure for what adds to a queue, but less is not: it adds thousands at once. */
export function queueConnection(access: RedisAccess, name: string): Redis {
  return connect(access, name, { ...forBullMq, enableOfflineQueue: true, commandTimeout: 5000, socketTimeout: 6000 })
}
