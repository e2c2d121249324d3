import { connect as connectTcp } from 'node:net'
import { createInterface } from 'node:readline'
import { connect } from '@ipfleet/redis/connection.ts'

type Client = ReturnType<typeof connect>

/** One command as Redis ran it, in lower case up to its arguments. */
export interface SeenCommand {
  readonly name: string
  readonly args: readonly string[]
  /** Called by a script, not by a client. */
  readonly inner: boolean
}

/** Watches everything that a Redis server is told. */
export interface RedisObserver extends AsyncDisposable {
  /** Everything since the start or the last `clear`. */
  commands(): readonly SeenCommand[]
  clear(): void
  /** Resolves when `count` matching commands have been seen. */
  waitFor(count: number, matches: (command: SeenCommand) => boolean): Promise<void>
  /** Runs one command. */
  call(name: string, ...args: readonly string[]): Promise<unknown>
  /** Every key with its value, as text. */
  dump(): Promise<string>
}

/** A patient connection: the replicas' own deadlines are no part of what is observed. */
async function patient(url: string): Promise<Client> {
  const client = connect(url, 'observer', {
    enableOfflineQueue: true,
    commandTimeout: 15_000,
    socketTimeout: 300_000,
    maxRetriesPerRequest: 5,
  })
  await client.ping()
  return client
}

export async function observeRedis(url: string): Promise<RedisObserver> {
  const client = await patient(url)
  let seen: SeenCommand[] = []
  const watchers = new Set<() => void>()
  const stopWatching = await monitor(url, (command) => {
    seen.push(command)
    for (const watcher of watchers) watcher()
  })
  return {
    commands: () => seen,
    clear: () => {
      seen = []
    },
    waitFor: (count, matches) => {
      const { promise, resolve } = Promise.withResolvers<void>()
      const check = (): void => {
        if (seen.filter((command) => matches(command)).length < count) return
        watchers.delete(check)
        resolve()
      }
      watchers.add(check)
      check()
      return promise
    },
    call: (name, ...args) => client.call(name, ...args),
    dump: () => dump(client),
    async [Symbol.asyncDispose]() {
      stopWatching()
      client.disconnect()
    },
  }
}

/**
 * MONITOR on a socket of our own: ioredis 6.0.0 takes monitor lines for replies to its own commands when it
 * disconnects, and throws where nobody can catch it.
 */
async function monitor(url: string, onCommand: (command: SeenCommand) => void): Promise<() => void> {
  const { hostname, port } = new URL(url)
  const socket = connectTcp({ host: hostname, port: Number(port) })
  socket.on('error', () => socket.destroy())
  const { promise: watching, resolve } = Promise.withResolvers<void>()
  createInterface({ input: socket }).on('line', (line) => {
    if (line === '+OK') return resolve()
    const [, source, rest = ''] = /^\+[\d.]+ \[\d+ ([^\]]*)\] (.*)$/.exec(line) ?? []
    const [name = '', ...args] = [...rest.matchAll(/"((?:[^"\\]|\\.)*)"/g)].map(([, text = '']) => unescaped(text))
    onCommand({ name: name.toLowerCase(), args, inner: source === 'lua' })
  })
  socket.write('MONITOR\r\n')
  await watching
  return () => socket.destroy()
}

/** MONITOR writes what is not printable as `\n` or `\x00`. */
function unescaped(text: string): string {
  const names: Record<string, string> = { n: '\n', r: '\r', t: '\t', a: '\u0007', b: '\b' }
  return text.replaceAll(/\\(?:x([0-9a-f]{2})|(.))/g, (_all, hex: string | undefined, one: string) =>
    hex === undefined ? (names[one] ?? one) : String.fromCharCode(Number.parseInt(hex, 16)),
  )
}

/** Makes a server as good as new, its known scripts and its channels' names included. */
export async function emptyRedis(url: string): Promise<void> {
  const client = await patient(url)
  await client.flushall()
  await client.script('FLUSH')
  client.disconnect()
}

async function dump(client: Client): Promise<string> {
  const lines: string[] = []
  for (let cursor = '0'; ;) {
    const [next, keys] = await client.scan(cursor, 'COUNT', 500)
    for (const key of keys) lines.push(`${key} = ${JSON.stringify(await valueOf(client, key))}`)
    if (next === '0') return lines.join('\n')
    cursor = next
  }
}

async function valueOf(client: Client, key: string): Promise<unknown> {
  const type = await client.type(key)
  switch (type) {
    case 'string':
      return client.get(key)
    case 'hash':
      return client.hgetall(key)
    case 'list':
      return client.lrange(key, 0, -1)
    case 'set':
      return client.smembers(key)
    case 'zset':
      return client.call('ZRANGE', key, '0', '-1', 'WITHSCORES')
    case 'stream':
      return client.call('XRANGE', key, '-', '+')
    case 'none':
      return 'expired meanwhile'
    default:
      throw new Error(`${key} is a ${type}, which this dump cannot read`)
  }
}
