import { fileURLToPath } from 'node:url'
import { type ServiceProcess, startService } from '@ipfleet/testing/service-process.ts'

/** The proxy's composition root. */
export const egressEntry = fileURLToPath(new URL('../src/main.ts', import.meta.url))

/** A proxy as its own process. */
export interface RunningEgress extends ServiceProcess, AsyncDisposable {
  /** Where operators look; 0 when METRICS_ADDR is off. */
  readonly metricsPort: number
  /** All metrics as they are now. */
  metrics(): Promise<string>
}

/**
 * Starts a proxy on free ports of 127.0.0.1, with `env` on top. It limits nobody and drains nothing unless told to, may
 * go to 127.0.0.1, and on a busy machine waits longer for Redis than it would in service.
 */
export async function startEgress(env: Readonly<Record<string, string>> = {}): Promise<RunningEgress> {
  const egress = await startService({
    entry: egressEntry,
    name: 'egress',
    env: {
      LISTEN_ADDR: '127.0.0.1:0',
      METRICS_ADDR: '127.0.0.1:0',
      LOG_FORMAT: 'json',
      DRAIN_MS: '0',
      RATE_LIMIT_BURST: '0',
      REDIS_TIMEOUT_MS: '5000',
      ALLOW_TARGETS: '127.0.0.1',
      ...env,
    },
  })
  const metricsPort = Number(egress.lines().find(({ msg }) => msg === 'metrics at /metrics')?.['port'] ?? 0)
  return {
    ...egress,
    metricsPort,
    metrics: async () => (await fetch(`http://127.0.0.1:${metricsPort}/metrics`)).text(),
    [Symbol.asyncDispose]: async () => void (await egress.stop()),
  }
}
