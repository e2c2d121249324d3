import { spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, expect, test } from '@jest/globals'
import { isPasswordOf, readPasswordHash } from '../src/auth/password-hash.ts'
import { readUsersFile, UsersFile } from '../src/auth/users-file.ts'

const hash = 'scrypt$N=2,r=1,p=1$c2FsdHNhbHRzYWx0$aGFzaGhhc2hoYXNoaGFzaGhhc2g'
const hashProgram = fileURLToPath(new URL('../src/hash-password.ts', import.meta.url))

let directory = ''
let path = ''
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'egress-users-'))
  path = join(directory, 'users')
})
afterEach(() => rmSync(directory, { recursive: true }))

function write(text: string): void {
  writeFileSync(`${path}.new`, text)
  renameSync(`${path}.new`, path)
}

function followed(): UsersFile {
  const read = readUsersFile(path)
  if (read.kind === 'faults') throw new Error(read.faults.join())
  const file = new UsersFile(path, read.users)
  file.follow({ lookEveryMs: 50 })
  return file
}

test('a changed file is taken; a bad one is told with line and reason, and the one before it stays', async () => {
  write(`alice:${hash}\n`)
  const file = followed()
  try {
    expect([...file.users.keys()]).toEqual(['alice'])
    write(`alice:${hash}\nbob:${hash}\n`)
    await once(file, 'changed')
    expect([...file.users.keys()]).toEqual(['alice', 'bob'])

    write(`alice:${hash}\nbob:canary\n`)
    const [faults] = await once(file, 'bad')
    expect(faults).toEqual([`${path} line 2: there is no hash behind the name, as hash-password.ts prints it`])
    expect([...file.users.keys()]).toEqual(['alice', 'bob'])

    rmSync(path)
    expect((await once(file, 'bad'))[0]).toEqual([`${path} cannot be read (ENOENT)`])
    expect([...file.users.keys()]).toEqual(['alice', 'bob'])

    write(`carol:${hash}\n`)
    await once(file, 'changed')
    expect([...file.users.keys()]).toEqual(['carol'])
  } finally {
    file.close()
  }
})

const hashOf = (input: string) => spawnSync(process.execPath, [hashProgram], { input, encoding: 'utf8' })

test.each(['secret123\n', 'secret123', 'secret123\r\nanother line\n'])(
  'hash-password prints what a line needs: %j',
  async (input) => {
    const { status, stdout, stderr } = hashOf(input)
    expect([status, stderr]).toEqual([0, ''])
    expect(stdout).toMatch(/^scrypt\$N=16384,r=8,p=1\$\S+\n$/)
    const read = readPasswordHash(stdout.trimEnd())
    expect(read && (await isPasswordOf(read, 'secret123'))).toBe(true)
    write(`test:${stdout}`)
    expect(readUsersFile(path)).toMatchObject({ kind: 'users' })
  },
)

test.each(['', '\n', 'a\tb\n'])('hash-password refuses %j', (input) => {
  expect(hashOf(input)).toMatchObject({ status: 2, stdout: '', stderr: expect.stringContaining('no password') })
})
