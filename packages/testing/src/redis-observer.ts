import { connect as connectTcp } from 'node:net'
import { createInterface } from 'node:readline'
import { RespClient, type RespReply } from './resp-client.ts'

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
  /** Resolves when all has been seen that the server was told before. */
  caughtUp(): Promise<void>
  /** Runs one command. Rejects with what Redis says against it. */
  call(name: string, ...args: readonly string[]): Promise<RespReply>
  /** Every key with its value, as text. */
  dump(): Promise<string>
}

export async function observeRedis(url: string): Promise<RedisObserver> {
  const client = await RespClient.connect(url)
  let seen: SeenCommand[] = []
  const watchers = new Set<() => void>()
  const stopWatching = await monitor(url, (command) => {
    seen.push(command)
    for (const watcher of watchers) watcher()
  })
  const waitFor: RedisObserver['waitFor'] = (count, matches) => {
    const { promise, resolve } = Promise.withResolvers<void>()
    const check = (): void => {
      if (seen.filter((command) => matches(command)).length < count) return
      watchers.delete(check)
      resolve()
    }
    watchers.add(check)
    check()
    return promise
  }
  return {
    commands: () => seen,
    clear: () => {
      seen = []
    },
    waitFor,
    async caughtUp() {
      // Redis has one order for everyone: when it has run this, it has shown all that came before.
      const mark = `mark-${Math.random()}`
      await client.call('ECHO', mark)
      await waitFor(1, ({ args }) => args[0] === mark)
      seen = seen.filter(({ args }) => args[0] !== mark)
    },
    call: (name, ...args) => client.call(name, ...args),
    dump: () => dump(client),
    async [Symbol.asyncDispose]() {
      stopWatching()
      client.close()
    },
  }
}

/** MONITOR, whose lines are no replies to commands, so that it has a socket of its own. */
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
  const client = await RespClient.connect(url)
  await client.call('FLUSHALL')
  await client.call('SCRIPT', 'FLUSH')
  client.close()
}

async function dump(client: RespClient): Promise<string> {
  const lines: string[] = []
  for (let cursor = '0'; ;) {
    const [next, keys] = (await client.call('SCAN', cursor, 'COUNT', '500')) as [string, string[]]
    for (const key of keys) lines.push(`${key} = ${JSON.stringify(await valueOf(client, key))}`)
    if (next === '0') return lines.join('\n')
    cursor = next
  }
}

async function valueOf(client: RespClient, key: string): Promise<RespReply> {
  const type = await client.call('TYPE', key)
  switch (type) {
    case 'string':
      return client.call('GET', key)
    case 'hash':
      return client.call('HGETALL', key)
    case 'list':
      return client.call('LRANGE', key, '0', '-1')
    case 'set':
      return client.call('SMEMBERS', key)
    case 'zset':
      return client.call('ZRANGE', key, '0', '-1', 'WITHSCORES')
    case 'stream':
      return client.call('XRANGE', key, '-', '+')
    case 'none':
      return 'expired meanwhile'
    default:
      throw new Error(`${key} is a ${String(type)}, which this dump cannot read`)
  }
}
