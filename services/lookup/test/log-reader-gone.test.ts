import { compileCache } from '@ipfleet/testing/compile-cache.ts'
import { spawn } from 'node:child_process'
import { closeSync, openSync } from 'node:fs'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { lookupEntry } from '@ipfleet/testing/service-process.ts'
import { likelyFreePort, waitUntilListening } from '@ipfleet/testing/service-process-port.ts'
import { temporaryFolder } from '@ipfleet/testing/service-process-folder.ts'

test('a replica whose log is not read any more still ends when it is told to', async () => {
  const folder = await temporaryFolder('log-reader-gone')
  const replica = spawn(process.execPath, [lookupEntry], {
    cwd: folder.path,
    env: {
      PATH: process.env['PATH'] ?? '',
      ...compileCache,
      PORT: '0',
      HOST: '127.0.0.1',
      LOG_FORMAT: 'json',
      DRAIN_MS: '0',
    },
    stdio: ['ignore', 'pipe', 'ignore'],
  })
  try {
    await once(createInterface(replica.stdout), 'line')
    replica.stdout.destroy()
    await once(replica.stdout, 'close')
    const exited = once(replica, 'exit')
    replica.kill('SIGTERM')
    const giveUp = setTimeout(() => replica.kill('SIGKILL'), 30_000)
    expect(await exited).toEqual([0, null])
    clearTimeout(giveUp)
  } finally {
    replica.kill('SIGKILL')
    await folder.remove()
  }
})

describe('on a full disk', () => {
  let full = 0
  beforeAll(() => {
    full = openSync('/dev/full', 'w')
  })
  afterAll(() => closeSync(full))

  const startOn = (port: number, cwd: string) =>
    spawn(process.execPath, [lookupEntry], {
      cwd,
      env: { PATH: process.env['PATH'] ?? '', ...compileCache, PORT: String(port), HOST: '127.0.0.1', DRAIN_MS: '0' },
      stdio: ['ignore', full, 'ignore'],
    })

  test('a replica answers and ends when it is told to; one that cannot start ends as well', async () => {
    const folder = await temporaryFolder('full-disk')
    const port = likelyFreePort()
    const replica = startOn(port, folder.path)
    let other: ReturnType<typeof startOn> | undefined
    try {
      await waitUntilListening(port, AbortSignal.timeout(60_000))
      for (let i = 0; i < 3; i++) expect((await fetch(`http://127.0.0.1:${port}/8.8.8.8`)).status).toBe(200)
      other = startOn(port, folder.path)
      expect(await once(other, 'exit')).toEqual([1, null])
      expect((await fetch(`http://127.0.0.1:${port}/8.8.8.8`)).status).toBe(200)
      const exited = once(replica, 'exit')
      replica.kill('SIGTERM')
      expect(await exited).toEqual([0, null])
    } finally {
      replica.kill('SIGKILL')
      other?.kill('SIGKILL')
      await folder.remove()
    }
  })
})
