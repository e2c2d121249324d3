import { manualClock, type ManualClock } from '@ipfleet/testing/manual-clock.ts'
import { beforeEach, describe, expect, test } from '@jest/globals'
import { SiteBenches } from './site-benches.ts'
import type { SourceOutcome } from './source-pool.ts'

const benchMs = 600_000
const site = 'shop.example'

let clock: ManualClock
let benches: SiteBenches

beforeEach(() => {
  clock = manualClock()
  benches = new SiteBenches({ benchMs }, clock)
})

const outcomes: Readonly<Record<string, SourceOutcome>> = {
  reached: 'connected',
  failed: 'target_failed',
  refused: 'refused_by_site',
  'short of ports': 'no_ports',
  'not ours': 'not_ours',
}

/** Tells `a failed, b reached, …` one after the other; `wait` lets ten seconds pass. Who was benched by it. */
function told(story: string): string[] {
  return story.split(', ').flatMap((report) => {
    if (report === 'wait') clock.advance(10_000)
    const [id = '', ...outcome] = report.split(' ')
    const known = outcomes[outcome.join(' ')]
    return known !== undefined && benches.report(id, site, known) ? [id] : []
  })
}

describe('benched for a site is', () => {
  test.each([
    ['who fails three times in a row while another reaches it', 'a failed, b reached, a failed, a failed', ['a']],
    ['whoever reaches it in between', 'a failed, a failed, b reached, a failed', ['a']],
    ['just after the third failure', 'a failed, a failed, a failed, b reached, a failed', ['a']],
    ['nobody, if the other reached it only before', 'b reached, a failed, a failed, a failed', []],
    ['nobody, while all fail', 'a failed, b failed, a failed, b failed, a failed, b failed, a failed', []],
    ['nobody, if there is no other', 'a failed, a reached, a failed, a failed, a failed, a failed', []],
    ['nobody who reaches it in between', 'a failed, b reached, a failed, a reached, a failed, b reached, a failed', []],
    ['who is refused three times', 'a refused, b reached, a refused, a refused', ['a']],
    ['who fails in several ways', 'a failed, b reached, a refused, a failed', ['a']],
    ['nobody for want of ports', 'b reached, a short of ports, b reached, a short of ports, a short of ports', []],
    ['nobody for not being ours', 'b reached, a not ours, b reached, a not ours, a not ours', []],
    [
      'who is refused over connections that it makes',
      'a reached, a refused, b reached, a reached, a refused, a reached, a refused',
      ['a'],
    ],
    [
      'also when they are made at once',
      'a reached, a reached, a reached, b reached, a refused, b reached, a refused, a refused',
      ['a'],
    ],
    [
      'nobody, when all are refused over connections that they make',
      'a reached, a refused, b reached, b refused, a reached, b reached, a refused, b refused, a reached, b reached, a refused, b refused',
      [],
    ],
    [
      'nobody who was let through after a refusal: a connection that is not refused for a while was a success',
      'a reached, a refused, a reached, wait, a reached, b reached, a refused, a reached, a refused',
      [],
    ],
    [
      'who is refused while another is let through again',
      'b refused, a refused, b reached, a refused, wait, a refused, a refused',
      ['a'],
    ],
    [
      'both that fail where a third does not',
      'a failed, b failed, c reached, a failed, b failed, b failed, a failed',
      ['b', 'a'],
    ],
  ])('%s: %s', (_rule, story, benched) => {
    expect(told(story)).toEqual(benched)
  })
})

test('a bench is of one source at one site, for its time', () => {
  told('a failed, b reached, a failed, a failed')
  expect(benches.isBenched('a', site)).toBe(true)
  expect(benches.isBenched('b', site)).toBe(false)
  expect(benches.isBenched('a', 'other.example')).toBe(false)
  clock.advance(benchMs - 1)
  expect(benches.backInMs('a', site)).toBe(1)
  clock.advance(1)
  expect(benches.isBenched('a', site)).toBe(false)
})

test('what still comes of connections under way does not lengthen it; after it, everything begins anew', () => {
  told('a failed, b reached, a failed, a failed')
  clock.advance(benchMs / 2)
  expect(told('a failed, b reached, a failed, a failed, a failed')).toEqual([])
  clock.advance(benchMs / 2)
  expect(told('b reached, a failed, b reached, a failed')).toEqual([])
  expect(told('a failed')).toEqual(['a'])
})

test('with no time for benches nobody is benched', () => {
  benches = new SiteBenches({ benchMs: 0 }, clock)
  expect(told('a failed, b reached, a failed, a failed')).toEqual([])
  expect(benches.hold({ id: 'a', site, remainingMs: 1000 })).toBe(false)
  expect(benches.isBenched('a', site)).toBe(false)
})

test('what others have benched is held, and is new once', () => {
  const bench = { id: 'a', site, remainingMs: 1000 }
  expect([benches.hold(bench), benches.hold({ ...bench, remainingMs: 2000 })]).toEqual([true, false])
  expect(benches.running()).toEqual([{ ...bench, remainingMs: 2000 }])
  clock.advance(2000)
  expect(benches.running()).toEqual([])
  expect(benches.hold(bench)).toBe(true)
})

test('the site at which something failed longest ago is forgotten first', () => {
  benches = new SiteBenches({ benchMs, maxSites: 2 }, clock)
  for (const name of ['one', 'two', 'one', 'three']) benches.hold({ id: 'a', site: name, remainingMs: 1000 })
  expect(benches.running().map((bench) => bench.site)).toEqual(['one', 'three'])
})
