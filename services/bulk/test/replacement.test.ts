import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { likelyFreePort } from '@ipfleet/testing/service-process-port.ts'
import { type ServiceProcess, startService } from '@ipfleet/testing/service-process.ts'
import { until } from '@ipfleet/testing/until.ts'
import { expect, test } from '@jest/globals'
import { addresses } from '@ipfleet/testing/public-addresses.ts'
import { BulkHarness } from './bulk-harness.ts'

const edgeEntry = fileURLToPath(new URL('../../edge/src/main.ts', import.meta.url))

/** The edge in front of processes of the service, of which one may come later. */
async function startEdge(folder: string, ports: readonly number[]): Promise<ServiceProcess> {
  const config = join(folder, 'edge.toml')
  const backends = JSON.stringify(ports.map((port) => `http://127.0.0.1:${port}`))
  await writeFile(
    config,
    `[server]\nlisten = "127.0.0.1:0"\n[upstreams]\nbackends = ${backends}\n[health]\npath = "/readyz"\ninterval_seconds = 0.2\n`,
  )
  return startService({ entry: edgeEntry, args: ['--config', config], name: 'edge', env: { LOG_FORMAT: 'json' } })
}

/** Clients that send lists and look at a job, one request after the other, until they are stopped. */
function startLoad(url: string, id: string) {
  const failures: string[] = []
  const posted: string[] = []
  const over = new AbortController()
  const ask = async (path: string, init: RequestInit, status: number): Promise<string> => {
    try {
      const response = await fetch(`${url}${path}`, init)
      const text = await response.text()
      if (response.status !== status) failures.push(`${init.method} ${path}: ${response.status} ${text}`)
      return text
    } catch (error) {
      failures.push(`${init.method} ${path}: ${String(error)} ${String((error as Error).cause)}`)
      return '{}'
    }
  }
  const client = async (number: number): Promise<void> => {
    while (!over.signal.aborted) {
      await ask(`/jobs/${id}`, { method: 'GET' }, 200)
      await ask('/jobs?limit=5', { method: 'GET' }, 200)
      if (number > 0) continue
      const list = await ask('/jobs', { method: 'POST', body: '8.8.8.8\n1.1.1.1\n' }, 202)
      posted.push(String((JSON.parse(list) as { id?: string }).id))
    }
  }
  const running = Array.from({ length: 4 }, (_, number) => client(number))
  return {
    posted,
    stop: async () => {
      over.abort()
      await Promise.all(running)
      return failures
    },
  }
}

test('one of two processes is replaced under load: no request fails, and each input has one line', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'ipfleet-replacement-'))
  const harness = await BulkHarness.start({
    services: 2,
    fake: { latencyMs: 50 },
    bulkEnv: { DRAIN_MS: '2000', REDIS_TIMEOUT_MS: '10000' },
  })
  const [first, second] = harness.services
  const port = likelyFreePort()
  const edge = await startEdge(folder, [first?.port ?? 0, second?.port ?? 0, port])
  try {
    const lines = addresses(12_000)
    const id = await harness.post(lines.join('\n'))
    const load = startLoad(edge.url, id)
    const linesDone = async (): Promise<number> => (await harness.job(id).catch(() => undefined))?.lines.done ?? 0
    await until(async () => (await linesDone()) > 1000 && load.posted.length > 2)
    expect((await second?.stop())?.code).toBe(0)
    const { length } = load.posted
    await harness.join({ PORT: String(port) })
    await until(() => load.posted.length > length + 5)
    await harness.waitFor(id, 'completed', 60_000)
    expect(await load.stop()).toEqual([])
    const inputs = (await harness.results(id)).trimEnd().split('\n')
    expect(inputs.map((line) => (JSON.parse(line) as { input: string }).input)).toEqual(lines)
    for (const list of load.posted) await harness.waitFor(list, 'completed')
  } finally {
    await edge.stop()
    await harness.stop()
    await rm(folder, { recursive: true })
  }
})
