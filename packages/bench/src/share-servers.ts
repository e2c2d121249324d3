import { fileURLToPath } from 'node:url'
import { startService } from '@ipfleet/testing/service-process.ts'
import { testCertificate } from '@ipfleet/testing/test-certificate.ts'
import { startTestRedis } from '@ipfleet/testing/test-redis.ts'
import { fakeEntry } from './fake-upstream.ts'
import { edgeCommand } from './edge-server.ts'
import { replicaCommand, type ServerCommand, serviceCommand, startMeasured } from './measured-server.ts'
import { type MemoryLimit, memoryLimit } from './memory-limit.ts'
import type { FloodedServer } from './share-floods.ts'

/** A server that is flooded, and what the other client asks of it. */
export interface ShareServer {
  readonly url: string
  readonly port: number
  readonly pid: number
  readonly target: string
  /** Undefined where this machine lets nobody make one. */
  readonly memory: MemoryLimit | undefined
}

export interface ShareServers extends AsyncDisposable {
  readonly byName: Readonly<Record<FloodedServer, ShareServer>>
}

const originCommand = {
  name: 'origin',
  command: process.execPath,
  args: (port: number) => [fileURLToPath(new URL('share-origin-main.ts', import.meta.url)), String(port)],
}

/** As the containers of `docker-compose.yml` have it. */
const maxBytes = 256 * 1024 * 1024

/** All of them with their default limits, but for connections: the flood comes from one address. */
export async function startShareServers(nodeFlags: readonly string[]): Promise<ShareServers> {
  const opened = new AsyncDisposableStack()
  const start = async (name: FloodedServer, command: ServerCommand, target = '/8.8.8.8'): Promise<ShareServer> => {
    const memory = memoryLimit(name, maxBytes)
    if (memory) opened.use(memory)
    const server = opened.use(await startMeasured(memory ? memory.limited(command) : command))
    return { ...server, target, memory }
  }
  try {
    const redis = await startTestRedis()
    opened.defer(() => redis.stop())
    const fakeArgs = ['--port', '0', '--max-calls', '100', '--latency-ms', '5']
    const fake = await startService({ entry: fakeEntry, args: fakeArgs })
    opened.defer(async () => void (await fake.stop()))
    const origin = opened.use(await startMeasured(originCommand))
    const { certFile, keyFile } = opened.use(await testCertificate())
    const tables = `[tls]\ncert = ${JSON.stringify(certFile)}\nkey = ${JSON.stringify(keyFile)}\n`
    const edge = { backends: [origin.url], connections: 1000, nodeFlags }
    const env = {
      IPINFO_KEYS: 'bench-key-1',
      IPINFO_BASE_URL: fake.url,
      IPINFO_API_BASE_URL: `${fake.url}/api.ipinfo.io`,
      REDIS_URL: redis.url,
    }
    const overTls = await start('edge over TLS', edgeCommand({ ...edge, tables }))
    const lookup = await start('lookup', replicaCommand(env, nodeFlags))
    const jobs = { REDIS_URL: redis.url, LOOKUP_URL: lookup.url }
    const byName = {
      edge: await start('edge', edgeCommand(edge)),
      'edge over TLS': { ...overTls, url: overTls.url.replace('http:', 'https:') },
      lookup,
      bulk: await start('bulk', serviceCommand('bulk', jobs, nodeFlags), '/jobs?limit=1'),
    }
    const held = opened.move()
    return { byName, [Symbol.asyncDispose]: () => held.disposeAsync() }
  } catch (error) {
    await opened.disposeAsync()
    throw error
  }
}
