import { once } from 'node:events'
import { type IncomingMessage, request } from 'node:http'
import { Readable } from 'node:stream'
import { fileURLToPath } from 'node:url'
import { createGzip } from 'node:zlib'
import { processMemory } from '@ipfleet/testing/process-memory.ts'
import { type ServiceProcess, startService } from '@ipfleet/testing/service-process.ts'
import { startTestRedis, type TestRedis } from '@ipfleet/testing/test-redis.ts'
import { afterAll, beforeAll, expect, test } from '@jest/globals'

/** However large a body is, the process that takes it stays as it is. */
let redis: TestRedis
let service: ServiceProcess
beforeAll(async () => {
  redis = await startTestRedis()
  service = await startService({
    entry: fileURLToPath(new URL('../src/main.ts', import.meta.url)),
    name: 'bulk',
    env: {
      PORT: '0',
      HOST: '127.0.0.1',
      LOG_FORMAT: 'json',
      REDIS_URL: redis.url,
      REDIS_TIMEOUT_MS: '5000', // which a busy machine may take
      BULK_ROLE: 'api',
      BULK_MAX_LINES: '1000000000',
      BULK_MAX_STORED_BYTES: '0',
      DRAIN_MS: '0',
    },
  })
  await service.waitForLine(({ msg }) => msg === 'redis is up')
  await upload(lines(50))
})
afterAll(async () => {
  await service.stop()
  await redis.stop()
})

const MB = 1024 * 1024

/** So many megabytes: addresses, and between them what is none. */
function lines(megabytes: number): Readable {
  const text = Array.from({ length: 16_000 }, (_, at) =>
    at % 10 > 0 ? `2001:db8:${at.toString(16)}::${at % 7}` : `no address ${'x'.repeat(500)}`,
  )
  const block = Buffer.from(`${text.join('\n')}\n`)
  return Readable.from(
    (function* () {
      for (let bytes = 0; bytes < megabytes * MB; bytes += block.length) yield block
    })(),
  )
}

async function upload(body: Readable): Promise<number> {
  const req = request(`${service.url}/jobs`, { method: 'POST' })
  body.pipe(req)
  const [res] = (await once(req, 'response')) as [IncomingMessage]
  const text = (await res.setEncoding('utf8').toArray()).join('')
  if (res.statusCode !== 202) throw new Error(`${res.statusCode}: ${text}`)
  return (JSON.parse(text) as { lines: { total: number } }).lines.total
}

test.each([
  { what: '120 MB', body: () => lines(120) },
  { what: '120 MB in a gzip', body: () => lines(120).pipe(createGzip({ level: 1 })) },
])('$what of lines take no more memory than 50 MB do, but for what V8 leaves lying about', async ({ body }) => {
  const before = processMemory(service.pid, 'VmHWM')
  expect(await upload(body())).toBeGreaterThan(1_500_000)
  expect((processMemory(service.pid, 'VmHWM') - before) / MB).toBeLessThan(80)
})
