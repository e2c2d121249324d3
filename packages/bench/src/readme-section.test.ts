import { expect, test } from '@jest/globals'
import { hitRows, missRows } from './readme-rows.ts'
import { readmeSection, withSection } from './readme-section.ts'

const circumstances = { command: 'npm run bench -- all', machine: '2 cores, Node 26', date: new Date('2026-11-30') }
const ratio = { median: 1.234, range: [1, 2] } as const
const marks = ['<!-- bench: `npm run bench -- all` writes what follows -->', '<!-- bench: end -->'] as const

test('the table has a row for each finding, and says on what it was measured', () => {
  const hit = { name: 'hit', rows: hitRows({ load: '', series: [], ratio }) }
  expect(readmeSection([hit], circumstances).split('\n')).toEqual([
    '| | ipfleet ÷ | |',
    '| --- | --- | --- |',
    '| an answer from a replica’s memory, with an access log | nginx `proxy_cache` | 1.23 (1.00 to 2.00) |',
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

const text = (middle: string): string => ['before', '', marks[0], '', middle, '', marks[1], '', 'after'].join('\n')

test('only what stands between the marks is replaced', () => {
  expect(withSection(text('old'), 'new')).toBe(text('new'))
  expect(() => withSection('no marks', 'new')).toThrow('README.md lacks the marks')
})
