import { execFileSync } from 'node:child_process'
import { existsSync, readdirSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { RecordingOrigin } from './recording-origin.ts'
import { type RunningEgress, startEgress } from './start-egress.ts'
import { askThrough, type Reply, tunnelThrough } from './through.ts'

/** What clients see of a proxy that may open no more files. */

const prlimit = '/usr/bin/prlimit'
const withPrlimit = existsSync(prlimit) ? describe : describe.skip
let origin: RecordingOrigin
let direct: RunningEgress
let chained: RunningEgress
beforeAll(async () => {
  origin = await RecordingOrigin.start()
  direct = await startEgress({ IP_POOL: '127.0.0.2' })
  const parent = `http://127.0.0.1:${direct.port}#parent`
  chained = await startEgress({ IP_POOL: parent, HEALTH_CHECK_INTERVAL_SECONDS: '1000' })
})
afterAll(async () => {
  await Promise.all([direct.stop(), chained.stop()])
  await origin[Symbol.asyncDispose]()
})

/** Of a proxy that has a descriptor for the client alone. Others may become free meanwhile, and then it is asked again. */
async function withoutDescriptors(proxy: RunningEgress): Promise<Reply> {
  for (let time = 0; time < 20; time += 1) {
    limitFiles(proxy, 1)
    const tunnel = await tunnelThrough(proxy.port, origin.authority)
    tunnel.wire.destroy()
    if (tunnel.status !== 200) return tunnel
  }
  throw new Error('it has always had another one')
}

/** From now on it may open so many more files. */
function limitFiles({ pid }: RunningEgress, more: number): void {
  const open = new Set(readdirSync(`/proc/${pid}/fd`).map(Number))
  let limit = 0
  for (let free = 0; free < more; limit += 1) if (!open.has(limit)) free += 1
  execFileSync(prlimit, ['--pid', String(pid), `--nofile=${limit}:`])
}

withPrlimit('a proxy without descriptors', () => {
  test.each([
    ['from an address', () => direct],
    ['through a parent', () => chained],
  ])('says 503 and what to raise, and the source stays in: %s', async (_how, which) => {
    const proxy = which()
    for (let time = 0; time < 3; time += 1) {
      const { status, headers } = await withoutDescriptors(proxy)
      expect([status, headers['proxy-status'], headers['retry-after']]).toEqual([
        503,
        'ipfleet-egress; error=connection_limit_reached; details="EMFILE"',
        '1',
      ])
    }
    limitFiles(proxy, 1000)
    expect((await askThrough(proxy.port, origin.url)).status).toBe(200)
    await proxy.waitForLine(({ code }) => code === 'EMFILE')
    const lines = proxy.lines()
    const about = lines.filter(({ code }) => code === 'EMFILE')
    expect(about).toMatchObject([{ level: 'warn', raise: expect.stringContaining('ulimit -n') }])
    expect(lines.filter(({ msg }) => msg === 'source address is out')).toEqual([])
  })
})
