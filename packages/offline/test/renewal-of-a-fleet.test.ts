import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from '@jest/globals'
import { RedisLink } from '@ipfleet/redis/redis-link.ts'
import { DatabaseOrigin } from '@ipfleet/testing/database-origin.ts'
import { startTestRedis, type TestRedis } from '@ipfleet/testing/test-redis.ts'
import { tinyMmdb } from '@ipfleet/testing/tiny-mmdb.ts'
import { until } from '@ipfleet/testing/until.ts'
import { openMmdb } from '../src/offline-db.ts'
import { DatabaseRenewal, sourceIdOf } from '../src/renewal/database-renewal.ts'
import { RedisRenewalTurns } from '../src/renewal/renewal-turns.ts'

let redis: TestRedis
let link: RedisLink
let origin: DatabaseOrigin
let root = ''
const opened: DatabaseRenewal[] = []

beforeAll(async () => {
  ;[redis, origin] = await Promise.all([startTestRedis(), DatabaseOrigin.start()])
  link = new RedisLink({ url: redis.url, name: 'test', timeoutMs: 10_000 })
  await until(() => link.up)
})
afterAll(async () => {
  link.close()
  await Promise.all([redis.stop(), origin[Symbol.asyncDispose]()])
})
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'fleet-renewal-'))
  origin.seen = []
})
afterEach(async () => {
  await Promise.all(opened.splice(0).map((one) => one.close()))
  rmSync(root, { recursive: true })
})

const bytesOf = (country: string): Buffer =>
  tinyMmdb({ ipVersion: 6, type: country, records: [['9.0.0.1', { country_code: country }]] })

/** A replica that keeps files in that directory. */
function replica(directory: string, path: string): DatabaseRenewal {
  const source = { url: origin.url(path), token: 'secret-token', maxBytes: 1_000_000 }
  const turns = new RedisRenewalTurns(link, sourceIdOf(source))
  const one = new DatabaseRenewal({ source, directory: join(root, directory), turns })
  opened.push(one)
  return one
}

test('one replica downloads for all that share a directory, and one that does not for itself', async () => {
  origin.serve(bytesOf('DE'), '"1"')
  const sharing = ['shared', 'shared', 'shared'].map((directory) => replica(directory, '/one'))
  const waits = await Promise.all(sharing.map((one) => one.look()))
  expect(origin.seen).toHaveLength(1)
  expect(waits.filter((waitMs) => waitMs > 3_600_000).length).toBeGreaterThan(0)
  // Also a replica that comes later.
  await Promise.all([...sharing, replica('shared', '/one')].map((one) => one.look()))
  expect(origin.seen).toHaveLength(1)

  const alone = replica('own', '/one')
  await alone.look()
  await alone.look()
  expect([origin.seen.length, openMmdb(alone.path).type]).toEqual([2, 'DE'])
})

test('what failed for one is not tried by all', async () => {
  origin.answer = (response) => response.writeHead(503).end()
  await Promise.all(['a', 'b'].map((directory) => replica(directory, '/failing').look()))
  await replica('c', '/failing').look()
  expect(origin.seen).toHaveLength(1)
})

test('a turn that is given up goes to the next replica at once', async () => {
  origin.answer = () => {}
  const first = replica('shared', '/given-up')
  const looking = first.look()
  await until(() => origin.seen.length === 1)
  await first.close()
  await looking
  origin.serve(bytesOf('FR'))
  const second = replica('shared', '/given-up')
  await second.look()
  expect(openMmdb(second.path).type).toBe('FR')
})

test('Redis holds the ETag and times; no file, token or URL', async () => {
  origin.serve(bytesOf('DE'), '"etag-1"')
  await replica('a', '/kept').look()
  const states = await link.run(async (client) => {
    const keys = await client.keys('*')
    return Promise.all(keys.map(async (key) => ({ key, state: await client.hgetall(key) })))
  })
  const state = { next: expect.stringMatching(/^\d+$/), version: '"etag-1"' }
  expect(states).toContainEqual({ key: expect.stringContaining(':offline:'), state })
  expect(JSON.stringify(states)).not.toMatch(/secret-token|127\.0\.0\.1|MaxMind/)
})
