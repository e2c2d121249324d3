import { manualClock } from '@ipfleet/testing/manual-clock.ts'
import { describe, expect, test } from '@jest/globals'
import { readIpPool } from './ip-pool.ts'
import { LiveSource } from './live-source.ts'
import { sessionEntropy, sessionName, sessionSource } from './session-source.ts'

function sourcesOf(text: string): readonly LiveSource[] {
  const pool = readIpPool(text.split(','))
  return pool.kind === 'entries' ? pool.entries.map((entry) => new LiveSource(entry, manualClock())) : []
}

const names = Array.from({ length: 8000 }, (_, index) => `:${index}`)
const ten = '192.0.2.1,192.0.2.2,192.0.2.3,192.0.2.4,192.0.2.5,192.0.2.6,192.0.2.7,192.0.2.8,192.0.2.9,192.0.2.10'
const sources = sourcesOf(ten)
const idOf = (all: readonly LiveSource[], name: string, out: readonly string[] = []): string | undefined =>
  sessionSource(all, name, ({ entry }) => !out.includes(entry.id))?.entry.id

describe('the source of a session', () => {
  test('is the same for whoever has the same sources, in any order', () => {
    const elsewhere = sourcesOf(ten).toReversed()
    expect(names.map((name) => idOf(elsewhere, name))).toEqual(names.map((name) => idOf(sources, name)))
  })

  test('is each as often as any other', () => {
    const chosen = names.map((name) => idOf(sources, name))
    for (const { entry } of sources) {
      // 800 ± 27: six standard deviations.
      expect(Math.abs(chosen.filter((id) => id === entry.id).length - 800)).toBeLessThan(161)
    }
  })

  test('when one is out, only its own sessions move, to all others', () => {
    const out = '192.0.2.4'
    const before = names.map((name) => idOf(sources, name))
    const after = names.map((name) => idOf(sources, name, [out]))
    expect(after.filter((_id, index) => before[index] !== out)).toEqual(before.filter((id) => id !== out))
    const heirs = after.filter((_id, index) => before[index] === out)
    expect(new Set(heirs).size).toBe(9)
  })

  test('is nobody when nobody is left', () => {
    expect(sessionSource(sources, ':a', () => false)).toBeUndefined()
  })
})

describe('the name of a session', () => {
  test('without a time to live never changes', () => {
    const session = { id: 'a', ttlSeconds: undefined, hard: false }
    expect(sessionName(session, 0)).toBe(sessionName(session, 1e15))
  })

  test('with one changes once in each such time, at a moment of its own', () => {
    const startMs = 1_700_000_000_000
    const changes = Array.from({ length: 200 }, (_, index) => {
      const nameAfter = (seconds: number) =>
        sessionName({ id: `s${index}`, ttlSeconds: 60, hard: false }, startMs + seconds * 1000)
      const seconds = Array.from({ length: 120 }, (_each, second) => second + 1)
      return seconds.filter((second) => nameAfter(second) !== nameAfter(second - 1))
    })
    for (const [first = 0, second = 0, ...others] of changes) {
      expect([second - first, others]).toEqual([60, []])
    }
    expect(new Set(changes.map(([first]) => first)).size).toBeGreaterThan(40)
  })
})

test('within a prefix each session has an address of its own, which stays', () => {
  const [prefix] = sourcesOf('2001:db8::/64')
  const addressOf = (name: string): string | undefined => prefix?.source(sessionEntropy(name)).address
  expect(new Set(names.map(addressOf)).size).toBe(names.length)
  expect(addressOf(':a')).toBe(addressOf(':a'))
  expect(addressOf(':a')).toMatch(/^2001:db8::/)
})
