import { fileURLToPath } from 'node:url'
import { startService } from '@ipfleet/testing/service-process.ts'
import { testCertificate } from '@ipfleet/testing/test-certificate.ts'
import { startTestRedis } from '@ipfleet/testing/test-redis.ts'
import { edgeCommand } from './edge-server.ts'
import { replicaCommand, serviceCommand, startMeasured } from './measured-server.ts'
import type { FloodedServer } from './share-floods.ts'

/** A server that is flooded, and what the other client asks of it. */
export interface ShareServer {
  readonly url: string
  readonly port: number
  readonly pid: number
  readonly target: string
}

export interface ShareServers extends AsyncDisposable {
  readonly byName: Readonly<Record<FloodedServer, ShareServer>>
}

const fakeEntry = fileURLToPath(import.meta.resolve('@ipfleet/testing/fake-ipinfo-main.ts'))
const originCommand = {
  name: 'origin',
  command: process.execPath,
  args: (port: number) => [fileURLToPath(new URL('share-origin-main.ts', import.meta.url)), String(port)],
}

/** All of them with their default limits, but for connections: the flood comes from one address. */
export async function startShareServers(): Promise<ShareServers> {
  const opened = new AsyncDisposableStack()
  try {
    const redis = await startTestRedis()
    opened.defer(() => redis.stop())
    const fake = await startService({
      entry: fakeEntry,
      args: ['--port', '0', '--max-calls', '100', '--latency-ms', '5'],
    })
    opened.defer(async () => void (await fake.stop()))
    const origin = opened.use(await startMeasured(originCommand))
    const certificate = opened.use(await testCertificate())
    const { certFile, keyFile } = certificate
    const tables = `[tls]\ncert = ${JSON.stringify(certFile)}\nkey = ${JSON.stringify(keyFile)}\n`
    const limits = { backends: [origin.url], connections: 1000 }
    const edge = opened.use(await startMeasured(edgeCommand(limits)))
    const tlsEdge = opened.use(await startMeasured(edgeCommand({ ...limits, tables })))
    const env = {
      IPINFO_KEYS: 'bench-key-1',
      IPINFO_BASE_URL: fake.url,
      IPINFO_API_BASE_URL: `${fake.url}/api.ipinfo.io`,
      REDIS_URL: redis.url,
    }
    const lookup = opened.use(await startMeasured(replicaCommand(env)))
    const bulk = opened.use(
      await startMeasured(serviceCommand('bulk', { REDIS_URL: redis.url, LOOKUP_URL: lookup.url })),
    )
    const held = opened.move()
    return {
      byName: {
        edge: { ...edge, target: '/8.8.8.8' },
        'edge over TLS': { ...tlsEdge, url: tlsEdge.url.replace('http:', 'https:'), target: '/8.8.8.8' },
        lookup: { ...lookup, target: '/8.8.8.8' },
        bulk: { ...bulk, target: '/jobs?limit=1' },
      },
      [Symbol.asyncDispose]: () => held.disposeAsync(),
    }
  } catch (error) {
    await opened.disposeAsync()
    throw error
  }
}
