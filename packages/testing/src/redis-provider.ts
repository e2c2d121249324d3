import type { ChildExit } from './service-process-child.ts'

/** A redis-server under a test's control. Every method resolves when its effect has taken place. */
export interface RedisInstance {
  /** Hangs the server: connections stay open, nothing is answered. */
  pause(): Promise<void>
  resume(): Promise<void>
  /** Ends it at once, as SIGKILL does: sockets are reset, nothing is saved, the port is free. */
  kill(): Promise<void>
  /** Starts it again on the same port (killing it first if it runs): empty, unless it keeps an append-only file. */
  restart(): Promise<void>
  /** Ends it and removes what it left. May be called again, and in any state. */
  stop(): Promise<void>
}

export interface RedisProvider {
  /** As printed: where the servers come from. */
  readonly description: string
  /** Starts a server on a loopback port. `port_taken` if something else listens there. */
  start(port: number, args: readonly string[]): Promise<RedisInstance | 'port_taken'>
}

/** A redis-server that runs, or has run. */
export interface RedisProcess {
  /** Settles when it has ended and all that it wrote has been read. */
  readonly exited: Promise<ChildExit>
  /** Calls `listener` for each line that it writes from now on. */
  onLine(listener: (line: string) => void): void
  /** Resolves when it has the signal. */
  signal(signal: 'STOP' | 'CONT' | 'KILL'): Promise<void>
}

/** Where a server and its successors on the same port run. */
export interface RedisPlace {
  /** Runs redis-server in a directory that all processes of this place have. */
  run(args: readonly string[]): Promise<RedisProcess>
  /** Removes what they left. */
  remove(): Promise<void>
}

/** Servers that are processes with this machine's loopback, each in a place of its own. */
export function redisProvider(description: string, openPlace: () => Promise<RedisPlace>): RedisProvider {
  return {
    description,
    start: async (port, args) => {
      const place = await openPlace()
      const launch = (): Promise<RedisProcess | 'port_taken'> => launchIn(place, port, args)
      const first = await launch().catch(async (error: unknown) => {
        await place.remove()
        throw error
      })
      if (first !== 'port_taken') return instanceOf(first, { place, port, launch })
      await place.remove()
      return first
    },
  }
}

interface Launching {
  readonly place: RedisPlace
  readonly port: number
  readonly launch: () => Promise<RedisProcess | 'port_taken'>
}

function instanceOf(first: RedisProcess, { place, port, launch }: Launching): RedisInstance {
  let server = first
  const kill = async (): Promise<void> => {
    await server.signal('KILL') // ends a stopped process too
    await server.exited
  }
  return {
    pause: () => server.signal('STOP'),
    resume: () => server.signal('CONT'),
    kill,
    restart: async () => {
      await kill()
      const again = await launch()
      if (again === 'port_taken') throw new Error(`port ${port} was taken while its server was down`)
      server = again
    },
    stop: async () => {
      await kill()
      await place.remove()
    },
  }
}

/** As glibc and musl say it. The program that had the port may be gone since. */
const portIsTaken = /Address (?:already )?in use/

/** Waits for the server's own word that it listens: another server on that port would answer a PING as well. */
async function launchIn(
  place: RedisPlace,
  port: number,
  args: readonly string[],
): Promise<RedisProcess | 'port_taken'> {
  const fixed = ['--port', String(port), '--bind', '127.0.0.1', '--daemonize', 'no', '--save', '', '--appendonly', 'no']
  const server = await place.run([...fixed, ...args])
  const written: string[] = []
  const { promise: ready, resolve } = Promise.withResolvers<'ready'>()
  server.onLine((line) => {
    written.push(line)
    if (line.includes('Ready to accept connections')) resolve('ready')
  })
  const first = await Promise.race([ready, server.exited])
  if (first === 'ready') return server
  if (written.some((line) => portIsTaken.test(line))) return 'port_taken'
  throw new Error(`redis-server exited with code ${first.code}:\n${written.join('\n')}`)
}
