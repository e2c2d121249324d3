import { seedOf } from '@ipfleet/core/rendezvous-draw.ts'
import { describe, expect, test } from '@jest/globals'
import type { Balance } from '../config/edge-config.ts'
import { alignTurns, balancers, type Candidate } from './balancers.ts'

interface TestBackend extends Candidate {
  id: string
  inFlight: number
  effectiveWeight: number
}

function backend(id: string, effectiveWeight = 1, inFlight = 0): TestBackend {
  return { id, seed: seedOf(id), inFlight, effectiveWeight, turn: 0 }
}

const pick = (balance: Balance, backends: TestBackend[], target = '/', tried: TestBackend[] = []): string | undefined =>
  balancers[balance](backends, target, tried)?.id

const picks = (balance: Balance, backends: TestBackend[], count: number): string =>
  Array.from({ length: count }, () => pick(balance, backends)).join('')

describe.each<Balance>(['round-robin', 'weighted', 'least-requests', 'hash'])('%s', (balance) => {
  test('has none among none', () => {
    expect(pick(balance, [])).toBeUndefined()
  })

  test('does not choose one that was tried', () => {
    const [one, other] = [backend('a'), backend('b')]
    expect(pick(balance, [one, other], '/', [one])).toBe('b')
    expect(pick(balance, [one, other], '/', [other])).toBe('a')
    expect(pick(balance, [one, other], '/', [one, other])).toBeUndefined()
  })

  test('sends in proportion to the weights', () => {
    const backends = [backend('10.0.0.1:80', 3), backend('10.0.0.2:80', 1), backend('10.0.0.3:80', 0.5)]
    const counts = new Map<string | undefined, number>()
    for (let index = 0; index < 45_000; index += 1) {
      const id = pick(balance, backends, `/${index >> 8}.${index & 255}.7.1`)
      counts.set(id, (counts.get(id) ?? 0) + 1)
    }
    const shares = backends.map(({ id }) => (counts.get(id) ?? 0) / 10_000)
    for (const [index, share] of [3, 1, 0.5].entries()) expect(Math.abs(shares[index]! - share)).toBeLessThan(0.05)
  })
})

test('equal backends alternate', () => {
  expect(picks('round-robin', [backend('a'), backend('b'), backend('c')], 9)).toBe('abcabcabc')
})

const abc = (weight = 1): TestBackend[] => [backend('a', weight), backend('b', weight), backend('c', weight)]

describe('processes that are told how many turns there were in all', () => {
  test.each([1, 7, 0.5])('alternate together, whoever of them is next; all weights %d', (weight) => {
    const processes = [abc(weight), abc(weight), abc(weight), abc(weight)]
    const chosen = [0, 1, 2, 3, 0, 2, 1, 3, 3, 3].map((index, turns) => {
      alignTurns(processes[index]!, turns)
      return pick('round-robin', processes[index]!)
    })
    expect(chosen.join('')).toBe('abcabcabca')
  })

  test('go on from there by turns', () => {
    const backends = abc()
    alignTurns(backends, 4)
    expect(picks('round-robin', backends, 7)).toBe('bcabcab')
  })

  test('keep their own turns where weights differ, and have none among nobody', () => {
    const backends = [backend('a', 5), backend('b'), backend('c')]
    expect(picks('round-robin', backends, 3)).toBe('aab')
    alignTurns(backends, 9)
    expect(picks('round-robin', backends, 4)).toBe('acaa')
    expect(() => alignTurns([], 3)).not.toThrow()
  })
})

test('the turns of a heavy backend are spread out, as nginx documents', () => {
  expect(picks('weighted', [backend('a', 5), backend('b'), backend('c')], 14)).toBe('aabacaaaabacaa')
})

test('the fewest requests for the weight come first', () => {
  expect(pick('least-requests', [backend('a', 1, 3), backend('b', 1, 2), backend('c', 1, 4)])).toBe('b')
  expect(pick('least-requests', [backend('a', 1, 3), backend('b', 4, 8), backend('c', 1, 4)])).toBe('b')
})

test('those with equally few take turns', () => {
  expect(picks('least-requests', [backend('a'), backend('x', 1, 1), backend('b')], 6)).toBe('ababab')
})

describe('hash', () => {
  const paths = Array.from({ length: 10_000 }, (_, index) => `/${index & 255}.${index >> 8}.5.9`)
  const backends = ['10.0.0.1:80', '10.0.0.2:80', '10.0.0.3:80', '10.0.0.4:80'].map((id) => backend(id))
  const owners = (group: TestBackend[]): (string | undefined)[] => paths.map((path) => pick('hash', group, path))

  test('who decides, and in which order it knows the backends, makes no difference', () => {
    expect(owners(backends.toReversed())).toEqual(owners(backends))
  })

  test('a backend that leaves moves only what was its own, and to all others evenly', () => {
    const before = owners(backends)
    const after = owners(backends.slice(1))
    const moved = before.flatMap((owner, index) => (owner === after[index] ? [] : [[owner, after[index]] as const]))
    expect(moved.every(([owner]) => owner === '10.0.0.1:80')).toBe(true)
    for (const { id } of backends.slice(1)) {
      expect(moved.filter(([, heir]) => heir === id).length / moved.length).toBeCloseTo(1 / 3, 1)
    }
  })

  test('a backend that joins takes its share and leaves the rest where it is', () => {
    const before = owners(backends)
    const after = owners([...backends, backend('10.0.0.5:80')])
    const moved = after.filter((owner, index) => owner !== before[index])
    expect(new Set(moved)).toEqual(new Set(['10.0.0.5:80']))
    expect(moved.length / paths.length).toBeCloseTo(0.2, 1)
  })

  test('as the weight of a backend rises it only ever gains', () => {
    const before = owners([...backends, backend('10.0.0.5:80', 0.1)])
    const after = owners([...backends, backend('10.0.0.5:80', 0.2)])
    const moved = after.filter((owner, index) => owner !== before[index])
    expect(new Set(moved)).toEqual(new Set(['10.0.0.5:80']))
  })

  test('who was tried is followed by the next in rank: whom the path would move to', () => {
    for (const path of paths.slice(0, 200)) {
      const first = backends.find(({ id }) => id === pick('hash', backends, path))!
      const others = backends.filter((other) => other !== first)
      expect(pick('hash', backends, path, [first])).toBe(pick('hash', others, path))
    }
  })

  test('a backend far above its share of the requests under way is passed over', () => {
    const busy = backends.map((one) => ({ ...one }))
    const owner = busy.find(({ id }) => id === pick('hash', busy, '/8.8.8.8'))!
    owner.inFlight = 4
    expect(pick('hash', busy, '/8.8.8.8')).toBe(owner.id)
    owner.inFlight = 40
    const next = pick('hash', busy, '/8.8.8.8')
    expect(next).not.toBe(owner.id)
    expect(next).toBe(
      pick(
        'hash',
        backends,
        '/8.8.8.8',
        backends.filter(({ id }) => id === owner.id),
      ),
    )
    for (const one of busy) one.inFlight = 40
    expect(pick('hash', busy, '/8.8.8.8')).toBe(owner.id)
  })

  test('a backend above its share answers all the same when the others were tried', () => {
    const busy = backends.map((one) => ({ ...one }))
    busy[0]!.inFlight = 1000
    expect(pick('hash', busy, '/', busy.slice(1))).toBe('10.0.0.1:80')
  })
})
