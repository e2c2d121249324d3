import { once } from 'node:events'
import {
  appendFileSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  unlinkSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import { tinyMmdb } from '@ipfleet/testing/tiny-mmdb.ts'
import { FollowedOfflineDb } from './followed-offline-db.ts'
import { bundledOfflineDb } from './offline-db.ts'

const bundled = bundledOfflineDb()
let directory = ''
let path = ''
let db: FollowedOfflineDb

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'followed-'))
  path = join(directory, 'lite.mmdb')
})
afterEach(() => {
  db.close()
  rmSync(directory, { recursive: true })
})

function bytesOf(country: string): Buffer {
  return tinyMmdb({ ipVersion: 6, type: country, records: [['9.0.0.1', { country_code: country }]] })
}

/** Everything that it says from its making on, in order. */
function follow(options: { lookEveryMs?: number } = {}): string[] {
  const said: string[] = []
  db = new FollowedOfflineDb([path], bundled)
  db.on('opened', ({ type }) => said.push(type))
  db.on('bad', ({ message }) => said.push(message.includes('cannot be read') ? 'bad' : message))
  db.openNow()
  db.follow(options)
  return said
}

const country = (): unknown => db.record('legacy', '9.0.0.1')?.['country']

test('the file that is there answers at once, under its own name', () => {
  writeFileSync(path, bytesOf('DE'))
  expect(follow()).toEqual(['DE'])
  expect([country(), db.type, db.builtAt.getUTCFullYear()]).toEqual(['DE', 'DE', 2025])
  expect(db.record('lite', '9.0.0.1')).toMatchObject({ country: 'Germany' })
})

test.each(['missing', 'broken'])('while it is %s the one before answers, until it is good', async (how) => {
  if (how === 'broken') writeFileSync(path, bytesOf('DE').subarray(0, 100))
  const said = follow()
  expect([said, db.type, db.record('legacy', '8.8.8.8')?.['country']]).toEqual([
    ['bad'],
    'country ipvAll + country-gaps + asn',
    'US',
  ])
  writeFileSync(path, bytesOf('DE'))
  await once(db, 'opened')
  expect([country(), said]).toEqual(['DE', ['bad', 'DE']])
})

describe('a new one takes over', () => {
  beforeEach(() => writeFileSync(path, bytesOf('DE')))

  test.each<[string, () => void]>([
    ['is put in its place', () => renameSync(other(bytesOf('FR')), path)],
    ['is written over it', () => writeFileSync(path, bytesOf('FR'))],
    [
      'comes after it was taken away',
      () => {
        unlinkSync(path)
        writeFileSync(path, bytesOf('FR'))
      },
    ],
  ])('when it %s', async (_, replace) => {
    const said = follow()
    replace()
    await once(db, 'opened')
    // It may be read while it is written.
    expect([country(), said.filter((one) => one !== 'bad')]).toEqual(['FR', ['DE', 'FR']])
  })

  test('when a link is turned to it, as Kubernetes does', async () => {
    for (const version of ['1', '2']) mkdirSync(join(directory, version))
    writeFileSync(join(directory, '1', 'lite.mmdb'), bytesOf('DE'))
    writeFileSync(join(directory, '2', 'lite.mmdb'), bytesOf('FR'))
    symlinkSync('1', join(directory, 'data'))
    unlinkSync(path)
    symlinkSync(join('data', 'lite.mmdb'), path)
    const said = follow()
    symlinkSync('2', join(directory, 'new'))
    renameSync(join(directory, 'new'), join(directory, 'data'))
    await once(db, 'opened')
    expect([country(), said]).toEqual(['FR', ['DE', 'FR']])
  })

  test('by looking, where nobody tells of changes', async () => {
    db = new FollowedOfflineDb([join(directory, 'nowhere', 'lite.mmdb')], bundled)
    db.on('bad', () => {})
    db.openNow()
    // There is no directory to watch yet.
    db.follow({ lookEveryMs: 20 })
    mkdirSync(join(directory, 'nowhere'))
    writeFileSync(join(directory, 'nowhere', 'lite.mmdb'), bytesOf('FR'))
    await once(db, 'opened')
    expect(country()).toBe('FR')
  })

  test('when it is whole: the old one answers while it is being written', async () => {
    const said = follow()
    const whole = bytesOf('FR')
    truncateSync(path)
    const opened = once(db, 'opened')
    const seen = new Set<unknown>()
    for (let at = 0; at < whole.length; at += 40) {
      appendFileSync(path, whole.subarray(at, at + 40))
      seen.add(country())
      // oxlint-disable-next-line no-await-in-loop -- a slow copy
      await new Promise((resolve) => void setTimeout(resolve, 10))
    }
    await opened
    expect([country(), [...seen]]).toEqual(['FR', ['DE']])
    expect(said.filter((one) => one !== 'bad')).toEqual(['DE', 'FR'])
  })
})

test('a broken one is told once and ignored; so is one of another kind', async () => {
  writeFileSync(path, bytesOf('DE'))
  const said = follow({ lookEveryMs: 20 })
  writeFileSync(path, bytesOf('FR').subarray(0, 100))
  await once(db, 'bad')
  writeFileSync(path, tinyMmdb({ ipVersion: 6, type: 'cities', records: [['8.8.8.8', { users: 'x' }]] }))
  await once(db, 'bad')
  expect(country()).toBe('DE')
  writeFileSync(path, bytesOf('FR'))
  await once(db, 'opened')
  expect(said).toEqual(['DE', 'bad', expect.stringContaining('(cities) has nothing about countries'), 'FR'])
})

test('one whose middle is lost is broken, though its end is there', async () => {
  const records = Array.from({ length: 223 }, (_, index): [string, { country_code: string }] => {
    const network = index + 1
    return [`${network}.${(network * 89) % 256}.1.1`, { country_code: 'FR' }]
  })
  const bytes = tinyMmdb({ ipVersion: 6, type: 'holed', records })
  writeFileSync(path, bytes)
  const said = follow()
  const file = openSync(path, 'r+')
  writeSync(file, Buffer.alloc(bytes.length - 800, 0xff), 0, bytes.length - 800, 400)
  await once(db, 'bad')
  expect([said, db.type]).toEqual([['holed', 'bad'], 'holed'])
})

test('after close nothing is looked at', async () => {
  writeFileSync(path, bytesOf('DE'))
  follow({ lookEveryMs: 10 })
  const witness = new FollowedOfflineDb([path], bundled)
  witness.openNow()
  witness.follow({ lookEveryMs: 10 })
  db.close()
  writeFileSync(path, bytesOf('FR'))
  await once(witness, 'opened')
  witness.close()
  expect(country()).toBe('DE')
})

function other(bytes: Buffer): string {
  const name = join(directory, 'other')
  writeFileSync(name, bytes)
  return name
}

test('of several files each is followed by itself, and those that are good answer together', async () => {
  const names = ['asn', 'country'].map((name) => join(directory, `${name}.mmdb`))
  const write = (at: number, record: Record<string, string>): void =>
    writeFileSync(names[at] ?? '', tinyMmdb({ ipVersion: 6, type: `file ${at}`, records: [['9.0.0.1', record]] }))
  write(0, { asn: 'AS1', name: 'One' })
  db = new FollowedOfflineDb(names, bundled)
  db.on('bad', () => {})
  db.openNow()
  db.follow()
  expect(db.record('legacy', '9.0.0.1')).toEqual({ ip: '9.0.0.1', org: 'AS1 One' })
  write(1, { country_code: 'DE' })
  await once(db, 'opened')
  expect(db.record('legacy', '9.0.0.1')).toEqual({ ip: '9.0.0.1', country: 'DE', org: 'AS1 One' })
})
