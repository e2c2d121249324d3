import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { likelyFreePort, waitUntilListening } from '@ipfleet/testing/service-process-port.ts'
import { isInstalled } from '@ipfleet/testing/is-installed.ts'
import { type GuardedChild, spawnGuarded } from '@ipfleet/testing/service-process-child.ts'
import { temporaryFolder, type TemporaryFolder } from '@ipfleet/testing/service-process-folder.ts'
import { RecordingOrigin } from './recording-origin.ts'
import { type RunningEgress, startEgress } from './start-egress.ts'
import { askInTunnel, askThrough, tunnelThrough } from './through.ts'

/** Three real Squids in rotation, of which one dies, and later one stays silent. */

const withSquid = (await isInstalled('squid', 'that it serves as a parent is not tested')) ? describe : describe.skip
const labels = ['squid-1', 'squid-2', 'squid-3'] as const

let folder: TemporaryFolder
let origin: RecordingOrigin
const squids: GuardedChild[] = []
let proxy: RunningEgress | undefined
beforeAll(async () => {
  folder = await temporaryFolder('squids')
  origin = await RecordingOrigin.start()
})
afterAll(async () => {
  await proxy?.stop()
  await Promise.all(squids.map((squid) => squid.stop(0)))
  await origin[Symbol.asyncDispose]()
  await folder.remove()
})

/** Leaves from 127.0.0.1N. Started by root, Squid becomes another user, who may not write into the folder. */
async function startSquid(number: number): Promise<number> {
  const port = likelyFreePort()
  const file = join(folder.path, `squid-${number}.conf`)
  const lines = [
    `http_port 127.0.0.1:${port}`,
    'http_access allow localhost',
    `tcp_outgoing_address 127.0.0.1${number}`,
    'cache deny all',
    'access_log none',
    'cache_log /dev/null',
    'pid_filename none',
    'pinger_enable off',
    'netdb_filename none',
    'shutdown_lifetime 0 seconds',
    '',
  ]
  await writeFile(file, lines.join('\n'))
  const args = ['-N', '-n', `ipfleet${process.pid}x${number}`, '-f', file]
  const env = { PATH: `${process.env['PATH']}:/usr/sbin` }
  squids.push(await spawnGuarded('squid', { args, env, cwd: folder.path }))
  await waitUntilListening(port, AbortSignal.timeout(30_000))
  return port
}

async function labelsOf(count: number): Promise<string[]> {
  const used: string[] = []
  for (let turn = 0; turn < count; turn += 1) {
    const isTunnel = turn % 2 === 0
    const tunnel = isTunnel ? await tunnelThrough(proxy!.port, origin.authority) : undefined
    const reply = tunnel ? await askInTunnel(tunnel, 'a.test') : await askThrough(proxy!.port, origin.url)
    expect(reply.status).toBe(200)
    const label = String((tunnel ?? reply).headers['x-egress-ip'])
    expect(reply.body).toBe(`127.0.0.1${label.at(-1)}`)
    used.push(label)
  }
  return [...new Set(used)].toSorted()
}

const isOut = (label: string) => (line: Readonly<Record<string, unknown>>) =>
  line['msg'] === 'source address is out' && line['source'] === label

withSquid('three Squids', () => {
  test('requests and tunnels leave through all of them, and none fails when one dies or is silent', async () => {
    const ports = [await startSquid(1), await startSquid(2), await startSquid(3)]
    proxy = await startEgress({
      IP_POOL: ports.map((port, index) => `http://127.0.0.1:${port}/#${labels[index]}`).join(),
      HEALTH_CHECK_URL: origin.url,
      HEALTH_CHECK_INTERVAL_SECONDS: '1',
      HEALTH_CHECK_TIMEOUT_MS: '3000',
      CONNECT_TIMEOUT_MS: '20000',
    })
    expect(await labelsOf(6)).toEqual(labels)
    squids[1]?.kill('SIGKILL')
    expect(await labelsOf(6)).toEqual(['squid-1', 'squid-3'])
    await proxy.waitForLine(isOut('squid-2'), 30_000)
    squids[2]?.kill('SIGSTOP')
    await proxy.waitForLine(isOut('squid-3'), 60_000)
    expect(await labelsOf(4)).toEqual(['squid-1'])
    squids[2]?.kill('SIGCONT')
    await proxy.waitForLine(({ msg, source }) => msg === 'source address is back' && source === 'squid-3', 60_000)
    expect(await labelsOf(4)).toEqual(['squid-1', 'squid-3'])
  })
})
