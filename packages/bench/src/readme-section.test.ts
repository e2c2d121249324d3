import { expect, test } from '@jest/globals'
import { hitRows, missRows, zipfRows } from './readme-rows.ts'
import { readmeSection, withSection } from './readme-section.ts'

const circumstances = { command: 'npm run bench -- all', machine: '2 cores, Node 26', date: new Date('2026-11-30') }
const ratio = { median: 1.234, range: [1, 2] } as const
const marks = ['<!-- bench: `npm run bench -- all` writes what follows -->', '<!-- bench: end -->'] as const

test('the table has a row for each finding, and says on what it was measured', () => {
  const hit = {
    name: 'hit',
    rows: hitRows({ load: '', series: [], ratio, fromRedis: { median: 12, range: [11, 13] } }),
  }
  expect(readmeSection([hit], circumstances).split('\n')).toEqual([
    '| | ipfleet ÷ | |',
    '| --- | --- | --- |',
    '| an answer from a replica’s memory, with an access log | nginx `proxy_cache` | 1.23 (1.00 to 2.00) |',
    '| an answer from Redis | one from memory | 12.00 (11.00 to 13.00) |',
    '',
    '`npm run bench -- all` on 2026-11-30: 2 cores, Node 26.',
  ])
})

test('what could not be measured is named, with what is missing', () => {
  const waits = { beforeUpstream: 3, inAll: 4 }
  const miss = { name: 'miss', rows: missRows({ load: '', series: [], peer: undefined, waits }, 20) }
  const section = readmeSection([miss, { name: 'offline', fault: 'no | network' }], circumstances)
  expect(section).toContain('miss | not measured: nginx is not installed |')
  expect(section).toContain('| 3 before upstream is asked, 4 in all |')
  expect(section).toContain('| `npm run bench -- offline` |  | not measured: no \\| network |')
})

test('a time next to that of an older build is told as a ratio, and by itself where there is none', () => {
  const zipf = { load: '100 requests', wallMs: 1234, againstMs: undefined, ratio: undefined }
  expect(zipfRows(zipf)).toEqual([['a fresh fleet: 100 requests', '', '1.2 s']])
  expect(zipfRows({ ...zipf, againstMs: 1000, ratio })[0]?.slice(1)).toEqual(['an older build', '1.23 (1.00 to 2.00)'])
})

const text = (middle: string): string => ['before', '', marks[0], '', middle, '', marks[1], '', 'after'].join('\n')

test('only what stands between the marks is replaced', () => {
  expect(withSection(text('old'), 'new')).toBe(text('new'))
  expect(() => withSection('no marks', 'new')).toThrow('README.md lacks the marks')
})
