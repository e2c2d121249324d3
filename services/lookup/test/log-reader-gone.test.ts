import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { expect, test } from '@jest/globals'
import { lookupEntry } from '@ipfleet/testing/service-process.ts'
import { temporaryFolder } from '@ipfleet/testing/service-process-folder.ts'

test('a replica whose log nobody reads any more still ends when it is told to', async () => {
  const folder = await temporaryFolder('log-reader-gone')
  const replica = spawn(process.execPath, [lookupEntry], {
    cwd: folder.path,
    env: { PATH: process.env['PATH'] ?? '', PORT: '0', HOST: '127.0.0.1', LOG_FORMAT: 'json', DRAIN_MS: '0' },
    stdio: ['ignore', 'pipe', 'ignore'],
  })
  try {
    await once(createInterface(replica.stdout), 'line')
    replica.stdout.destroy()
    await once(replica.stdout, 'close')
    const exited = once(replica, 'exit')
    replica.kill('SIGTERM')
    const giveUp = setTimeout(() => replica.kill('SIGKILL'), 8000)
    expect(await exited).toEqual([0, null])
    clearTimeout(giveUp)
  } finally {
    replica.kill('SIGKILL')
    await folder.remove()
  }
})
