import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from '@jest/globals'
import { DatabaseOrigin } from '@ipfleet/testing/database-origin.ts'
import { tinyMmdb } from '@ipfleet/testing/tiny-mmdb.ts'
import { openMmdb } from '../offline-db.ts'
import type { DatabaseSource } from './database-download.ts'
import { DatabaseRenewal } from './database-renewal.ts'
import { turnsAlone } from './renewal-turns.ts'

let origin: DatabaseOrigin
let directory = ''
let wallMs = Date.UTC(2026, 0, 1)
const opened: DatabaseRenewal[] = []

beforeAll(async () => {
  origin = await DatabaseOrigin.start()
})
afterAll(() => origin[Symbol.asyncDispose]())
beforeEach(() => {
  origin.seen = []
  directory = join(mkdtempSync(join(tmpdir(), 'renewal-')), 'data')
})
afterEach(async () => {
  await Promise.all(opened.splice(0).map((one) => one.close()))
  rmSync(join(directory, '..'), { recursive: true })
})

function bytesOf(country: string, buildEpoch = 1_750_000_000): Buffer {
  return tinyMmdb({ ipVersion: 6, type: country, buildEpoch, records: [['9.0.0.1', { country_code: country }]] })
}

function renewal(source: Partial<DatabaseSource> = {}) {
  const said: string[] = []
  const one = new DatabaseRenewal({
    source: { url: origin.url('/db'), maxBytes: 1_000_000, ...source },
    directory,
    turns: turnsAlone,
    wallMs: () => wallMs,
  })
  one.on('renewed', ({ type }) => said.push(type))
  one.on('unchanged', () => said.push('unchanged'))
  one.on('failed', (reason) => said.push(reason))
  opened.push(one)
  return { one, said }
}

const countryIn = (path: string): unknown => openMmdb(path).facts('9.0.0.1')?.place?.country_code

const hourMs = 3_600_000

test('the first file comes at once, under a name of ours; a day later only a newer one does', async () => {
  origin.serve(gzipSync(bytesOf('DE')), '"1"')
  const { one, said } = renewal()
  const waitMs = await one.look()
  expect([said, countryIn(one.path)]).toEqual([['DE'], 'DE'])
  expect(waitMs).toBeGreaterThanOrEqual(24 * hourMs)
  expect(waitMs).toBeLessThanOrEqual(25 * hourMs)
  expect(readdirSync(directory).toSorted()).toEqual([basename(one.path), `${basename(one.path)}.json`])

  await one.look()
  wallMs += 23 * hourMs
  await renewal().one.look()
  expect(origin.seen).toHaveLength(1)

  wallMs += 2 * hourMs
  await one.look()
  expect([said, origin.seen.at(-1)?.etag]).toEqual([['DE', 'unchanged'], '"1"'])
  wallMs += 25 * hourMs
  origin.serve(bytesOf('FR', 1_760_000_000), '"2"')
  await one.look()
  expect([said.at(-1), countryIn(one.path), origin.seen.length]).toEqual(['FR', 'FR', 3])
})

test('what is no database never takes the place of one, and leaves nothing', async () => {
  origin.serve(bytesOf('DE'), '"1"')
  const { one, said } = renewal()
  await one.look()
  wallMs += 26 * hourMs
  origin.serve(Buffer.from('<html>log in</html>'), '"2"')
  await one.look()
  expect([said, countryIn(one.path)]).toEqual([['DE', 'the file is no whole MMDB'], 'DE'])
  expect(readdirSync(directory)).toHaveLength(2)
})

test('a file that was refused is not fetched again', async () => {
  origin.serve(Buffer.from('no database'), '"bad"')
  const { one, said } = renewal()
  await one.look()
  wallMs += 26 * hourMs
  await one.look()
  expect([said.length, said[1], existsSync(one.path)]).toEqual([
    2,
    'the source still has the file that was refused',
    false,
  ])
})

test.each([401, 500])('after %i the next try is an hour later, and the message holds no secret', async (status) => {
  origin.answer = (response) => response.writeHead(status).end('secret-token')
  const { one, said } = renewal({ url: origin.url('/db?id=private'), token: 'secret-token' })
  const waitMs = await one.look()
  expect(said).toEqual([`${new URL(origin.url('')).host} answers ${status}`])
  expect([waitMs >= hourMs, waitMs < 2 * hourMs]).toEqual([true, true])
  await renewal({ url: origin.url('/db?id=private'), token: 'secret-token' }).one.look()
  expect(origin.seen).toHaveLength(1)
  // A corrected token is tried at once.
  origin.serve(bytesOf('DE'))
  await renewal({ url: origin.url('/db?id=private'), token: 'another' }).one.look()
  expect(origin.seen).toHaveLength(2)
  for (const name of readdirSync(directory)) {
    expect([name, readFileSync(join(directory, name), 'latin1').includes('secret-token')]).toEqual([name, false])
  }
})

test('a connection that ends in the middle leaves nothing', async () => {
  origin.answer = (response) => {
    response.writeHead(200, { 'content-length': '5000' })
    response.write(bytesOf('DE').subarray(0, 100), () => response.destroy())
  }
  const { one, said } = renewal()
  await one.look()
  expect(said).toHaveLength(1)
  expect(readdirSync(directory)).toEqual([`${basename(one.path)}.json`])
})

test('a directory that cannot be written is told with what to do', async () => {
  writeFileSync(directory, 'a file')
  const { one, said } = renewal()
  await one.look()
  expect(said).toEqual([
    `OFFLINE_DB_DIR=${directory} cannot be written (EEXIST); set it to a directory that this process may write to`,
  ])
  expect(origin.seen).toEqual([])
})

test('what is under way is given up at the end', async () => {
  origin.answer = () => {}
  const { one, said } = renewal()
  one.start()
  await new Promise<void>((resolve) => {
    origin.answer = () => resolve()
  })
  await one.close()
  expect([said, readdirSync(directory)]).toEqual([[], []])
})
