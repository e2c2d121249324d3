import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { afterEach, beforeEach, expect, test } from '@jest/globals'
import { tarMember } from '@ipfleet/testing/tar-member.ts'
import { tinyMmdb } from '@ipfleet/testing/tiny-mmdb.ts'
import { probeDatabase } from './database-probe.ts'
import { probeFile } from './probe-file.ts'

let directory = ''
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'probe-'))
})
afterEach(() => rmSync(directory, { recursive: true }))

function bytesOf(country: string, buildEpoch = 1_750_000_000): Buffer {
  return tinyMmdb({ ipVersion: 6, type: country, buildEpoch, records: [['9.0.0.1', { country_code: country }]] })
}

function archive(...members: (readonly [name: string, content: Buffer, type?: string])[]): Buffer {
  return gzipSync(Buffer.concat([...members.map((member) => tarMember(...member)), Buffer.alloc(1024)]))
}

function options(bytes: Buffer) {
  const [from, to, before] = ['from', 'to', 'before'].map((name) => join(directory, name)) as [string, string, string]
  writeFileSync(from, bytes)
  writeFileSync(before, bytesOf('DE'))
  return { from, to, before, limits: { maxBytes: 1_500_000, maxRatio: 100 } }
}

test.each([
  ['as it is', bytesOf('FR')],
  ['as old as the one that is there', bytesOf('FR', 1_750_000_000)],
  ['packed', gzipSync(bytesOf('FR'))],
  ['in an archive', archive(['GeoLite2/LICENSE.txt', Buffer.from('x')], ['GeoLite2/GeoLite2.mmdb', bytesOf('FR')])],
  ['in an archive of macOS', archive(['._a.mmdb', Buffer.from('x')], ['a.mmdb', bytesOf('FR')])],
])('a database is unpacked when it comes %s', (_, bytes) => {
  const given = options(bytes)
  expect(probeFile(given)).toEqual({ kind: 'good', type: 'FR', builtMs: 1_750_000_000_000 })
  expect(readFileSync(given.to)).toEqual(bytesOf('FR'))
})

test.each([
  ['a page', Buffer.from('<html>log in</html>'), 'is no whole MMDB'],
  ['nothing', Buffer.alloc(0), 'is no whole MMDB'],
  ['a part', bytesOf('FR').subarray(0, 900), 'is no whole MMDB'],
  ['half a gzip', gzipSync(bytesOf('FR')).subarray(0, 200), 'is no whole MMDB'],
  ['an older one', bytesOf('FR', 1_740_000_000), 'is older (2025-02-19) than the one that is there (2025-06-15)'],
  ['more than may be', Buffer.concat([Buffer.alloc(1_500_000), bytesOf('FR')]), 'has more than 1500000 bytes'],
  ['a bomb by size', gzipSync(Buffer.alloc(20_000_000)), 'becomes more than 1500000 bytes'],
  ['a bomb by ratio', gzipSync(Buffer.alloc(1_200_000)), 'becomes more than 1048576 bytes'],
  ['two', archive(['a.mmdb', bytesOf('FR')], ['b.mmdb', bytesOf('FR')]), 'holds 2 files .mmdb; it has to be one'],
  ['none', archive(['a.txt', bytesOf('FR')]), 'holds 0 files .mmdb; it has to be one'],
  ['a link', archive(['a.mmdb', Buffer.alloc(0), '2']), 'holds 0 files .mmdb; it has to be one'],
  [
    'users',
    tinyMmdb({ ipVersion: 6, type: 'users', records: [['8.8.8.8', { users: 'x' }]] }),
    '(users) has nothing about countries',
  ],
])('a file that holds %s is refused, and leaves nothing', (_, bytes, reason) => {
  expect(probeFile(options(bytes))).toEqual({ kind: 'refused', reason: expect.stringContaining(reason) })
  expect(readdirSync(directory)).not.toContain('to')
})

test('a probe is given up with its signal', async () => {
  const end = new AbortController()
  const result = probeDatabase(options(bytesOf('FR')), end.signal)
  end.abort()
  expect(await result).toMatchObject({ kind: 'refused' })
  expect(readdirSync(directory)).not.toContain('to')
})
