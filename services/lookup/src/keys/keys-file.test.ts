import { once } from 'node:events'
import { mkdir, mkdtemp, rename, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { apiKey } from '@ipfleet/key-pool/api-key.ts'
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import { KeysFileError } from './keys-file-format.ts'
import { KeysFile } from './keys-file.ts'

let folder: string
let path: string
let file: KeysFile | undefined

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'keys-file-'))
  path = join(folder, 'keys')
  await writeFile(path, 'k1\n')
})

afterEach(async () => {
  file?.close()
  await rm(folder, { recursive: true })
})

/** Looks again that seldom that only watching can be what tells. */
function watched(lookEveryMs = 600_000): KeysFile {
  file = new KeysFile(path)
  file.follow({ lookEveryMs })
  return file
}

describe('KEYS_FILE', () => {
  test('that cannot be read or makes no sense is a fault at the start', async () => {
    expect(() => new KeysFile(join(folder, 'nowhere'))).toThrow(/nowhere cannot be read \(ENOENT\)/)
    await writeFile(path, 'k1 weight=x')
    expect(() => new KeysFile(path)).toThrow(KeysFileError)
  })

  test('written anew is read anew', async () => {
    const followed = watched()
    const changed = once(followed, 'changed')
    await writeFile(path, 'k1\nk2\n')
    expect(await changed).toEqual([[apiKey('k1'), apiKey('k2')]])
    expect(followed.keys).toEqual([apiKey('k1'), apiKey('k2')])
  })

  test('replaced by another file, as editors do, is read anew, time and again', async () => {
    const followed = watched()
    for (const secret of ['k2', 'k3']) {
      const changed = once(followed, 'changed')
      await writeFile(join(folder, 'keys.tmp'), secret)
      await rename(join(folder, 'keys.tmp'), path)
      expect(await changed).toEqual([[apiKey(secret)]])
    }
  })

  test('behind a link that is turned, as Kubernetes does, is read anew', async () => {
    await rm(path)
    for (const [index, secret] of ['k1', 'k2'].entries()) {
      await mkdir(join(folder, `data${index}`))
      await writeFile(join(folder, `data${index}`, 'keys'), secret)
    }
    await symlink('data0', join(folder, 'now'))
    await symlink(join('now', 'keys'), path)
    const followed = watched()
    const changed = once(followed, 'changed')
    await symlink('data1', join(folder, 'next'))
    await rename(join(folder, 'next'), join(folder, 'now'))
    expect(await changed).toEqual([[apiKey('k2')]])
  })

  test('is looked at again where nothing tells of a change', async () => {
    // What changes is in another directory than the one that is watched.
    const elsewhere = await mkdtemp(join(tmpdir(), 'keys-elsewhere-'))
    try {
      await writeFile(join(elsewhere, 'keys'), 'k1')
      await rm(path)
      await symlink(join(elsewhere, 'keys'), path)
      const changed = once(watched(20), 'changed')
      await writeFile(join(elsewhere, 'keys'), 'k2')
      expect(await changed).toEqual([[apiKey('k2')]])
    } finally {
      await rm(elsewhere, { recursive: true })
    }
  })

  test.each([
    ['makes no sense', (): Promise<void> => writeFile(path, 'k2 weight=x')],
    ['is emptied', (): Promise<void> => writeFile(path, '')],
    ['is gone', (): Promise<void> => rm(path)],
  ])('that %s keeps the old keys, says so once, and is used again when it is good', async (_, spoil) => {
    const followed = watched(20)
    const faults: string[] = []
    followed.on('bad', (fault) => faults.push(fault))
    const bad = once(followed, 'bad')
    await spoil()
    await bad
    expect(followed.keys).toEqual([apiKey('k1')])
    const changed = once(followed, 'changed')
    await writeFile(path, 'k1\nk2')
    await changed
    expect(new Set(faults).size).toBe(faults.length)
    expect(followed.keys).toEqual([apiKey('k1'), apiKey('k2')])
  })

  test('is not looked at any more once it is closed', async () => {
    const followed = watched(5)
    let changes = 0
    followed.on('changed', () => (changes += 1))
    followed.close()
    await writeFile(path, 'k2')
    await new Promise((resolve) => setTimeout(resolve, 100))
    expect([changes, followed.keys]).toEqual([0, [apiKey('k1')]])
  })
})
