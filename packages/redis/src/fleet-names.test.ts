import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from '@jest/globals'
import { bucketTag } from './bucket-tags.ts'
import { FleetNames } from './fleet-names.ts'

describe('the names of a fleet', () => {
  const names = new FleetNames({ prefix: 'blue', db: 3 })

  test('begin with its prefix; channels carry the database as well', () => {
    expect(names.key('keys', 'pool')).toBe('blue:keys:{pool}')
    expect(names.key('keys', 'pool', 'benches')).toBe('blue:keys:{pool}:benches')
    expect(names.channel('keys')).toBe('blue:3:keys')
  })

  test('of one subject share a bucket, whatever the subject holds', () => {
    const subject = '1:/8.8.8.8?a={b}'
    const bucket = bucketTag(subject)
    expect(['lease', 'outcome', 'answer'].map((kind) => names.subjectKey(kind, subject))).toEqual([
      `blue:lease:{${bucket}}:${subject}`,
      `blue:outcome:{${bucket}}:${subject}`,
      `blue:answer:{${bucket}}:${subject}`,
    ])
  })
})

describe('buckets', () => {
  const tags = new Set(Array.from({ length: 20_000 }, (_, n) => bucketTag(`1764431000000:/10.1.${n >> 8}.${n & 255}`)))

  test('are 256, whose Cluster slots lie 64 apart', () => {
    expect(crc16('123456789')).toBe(0x31c3)
    const slots = [...tags].map((tag) => crc16(tag) % 16_384).toSorted((a, b) => a - b)
    expect(slots).toEqual(Array.from({ length: 256 }, (_, index) => index * 64))
  })

  test.each([1, 2, 3, 5, 6, 7, 12, 100])('are spread evenly over a Cluster of %i', (nodes) => {
    const counts = Array.from({ length: nodes }, () => 0)
    for (const tag of tags) {
      const node = Math.floor(((crc16(tag) % 16_384) * nodes) / 16_384)
      counts[node] = (counts[node] ?? 0) + 1
    }
    expect(Math.max(...counts) - Math.min(...counts)).toBeLessThanOrEqual(1)
  })

  test('take equally many subjects each', () => {
    const counts = new Map<string, number>()
    for (let n = 0; n < 65_536; n++) {
      const tag = bucketTag(`1764431000000:/192.0.${n >> 8}.${n & 255}`)
      counts.set(tag, (counts.get(tag) ?? 0) + 1)
    }
    const sizes = [...counts.values()]
    expect(Math.min(...sizes)).toBeGreaterThan(256 * 0.7)
    expect(Math.max(...sizes)).toBeLessThan(256 * 1.3)
  })
})

test('nothing but the default prefix gives a fleet its name', () => {
  const root = join(import.meta.dirname, '../../..')
  const sources = globSync('{packages,services}/*/src/**/*.{ts,lua}', { cwd: root }).filter(
    (path) => !path.endsWith('.test.ts'),
  )
  const named = sources.filter((path) => /ipfleet:\S/.test(readFileSync(join(root, path), 'utf8')))
  expect(sources.length).toBeGreaterThan(300)
  expect(named).toEqual([])
})

/** XMODEM, as the Cluster specification has it. */
function crc16(text: string): number {
  let crc = 0
  for (const byte of Buffer.from(text)) {
    crc ^= byte << 8
    for (let bit = 0; bit < 8; bit++) crc = crc & 0x8000 ? ((crc << 1) ^ 0x1021) & 0xffff : (crc << 1) & 0xffff
  }
  return crc
}
