import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { isInstalled } from '@ipfleet/testing/is-installed.ts'
import { type GuardedChild, spawnGuarded } from '@ipfleet/testing/service-process-child.ts'
import { temporaryFolder, type TemporaryFolder } from '@ipfleet/testing/service-process-folder.ts'
import { likelyFreePort, waitUntilListening } from '@ipfleet/testing/service-process-port.ts'
import { RecordingOrigin } from './recording-origin.ts'
import { startEgress } from './start-egress.ts'
import { askInTunnel, askThrough, tunnelThrough } from './through.ts'

/** Forward proxies that others have written serve as parents. Squid is in squid-parents.long.test.ts. */

interface ParentProgram {
  readonly program: string
  readonly from: string
  /** Of the item of IP_POOL, in front of the port. */
  readonly item: string
  readonly args: (port: number, file: string) => readonly string[]
  /** Its configuration, in `file`. */
  readonly file?: (port: number) => readonly string[]
}

const programs: readonly ParentProgram[] = [
  {
    program: 'tinyproxy',
    from: 'tinyproxy',
    // Its users and passwords are letters and digits.
    item: 'http://me:pass@127.0.0.1:',
    args: (_, file) => ['-d', '-c', file],
    file: (port) => [`Port ${port}`, 'Listen 127.0.0.1', 'Allow 127.0.0.1', 'BasicAuth me pass'],
  },
  {
    program: 'danted',
    from: 'dante-server',
    item: 'socks5://127.0.0.1:',
    args: (_, file) => ['-f', file, '-p', `${file}.pid`],
    file: (port) => [
      `internal: 127.0.0.1 port = ${port}`,
      'external: 127.0.0.1',
      'clientmethod: none',
      'socksmethod: none',
      'client pass { from: 0.0.0.0/0 to: 0.0.0.0/0 }',
      'socks pass { from: 0.0.0.0/0 to: 0.0.0.0/0 }',
    ],
  },
  {
    program: 'microsocks',
    from: 'microsocks',
    item: 'socks5://me:p%40ss@127.0.0.1:',
    args: (port) => ['-i', '127.0.0.1', '-p', String(port), '-u', 'me', '-P', 'p@ss'],
  },
  {
    program: 'ncat',
    from: 'ncat',
    item: 'http://me:p%40ss@127.0.0.1:',
    args: (port) => ['-lk', '127.0.0.1', String(port), '--proxy-type', 'http', '--proxy-auth', 'me:p@ss'],
  },
]

let folder: TemporaryFolder
let origin: RecordingOrigin
const parents: GuardedChild[] = []
beforeAll(async () => {
  folder = await temporaryFolder('parents')
  origin = await RecordingOrigin.start()
})
afterAll(async () => {
  await Promise.all(parents.map((parent) => parent.stop(0)))
  await origin[Symbol.asyncDispose]()
  await folder.remove()
})

/** @returns its port */
async function start({ program, args, file }: ParentProgram): Promise<number> {
  const port = likelyFreePort()
  const path = join(folder.path, `${program}.conf`)
  if (file) await writeFile(path, `${file(port).join('\n')}\n`)
  const env = { PATH: `${process.env['PATH']}:/usr/sbin` }
  parents.push(await spawnGuarded(program, { args: args(port, path), env, cwd: folder.path }))
  await waitUntilListening(port, AbortSignal.timeout(30_000))
  return port
}

for (const one of programs) {
  const { program, from, item } = one
  const described = (await isInstalled(program, 'that it serves as a parent is not tested', from))
    ? describe
    : describe.skip
  described(program, () => {
    test('carries requests and tunnels', async () => {
      await using proxy = await startEgress({ IP_POOL: `${item}${await start(one)}/#${program}` })
      const reply = await askThrough(proxy.port, origin.url)
      const tunnel = await tunnelThrough(proxy.port, origin.authority)
      expect([reply.status, reply.headers['x-egress-ip'], tunnel.headers['x-egress-ip']]).toEqual([
        200,
        program,
        program,
      ])
      expect((await askInTunnel(tunnel, 'a.test')).body).toBe('127.0.0.1')
    })
  })
}
