import type { ConsoleKey, FlowMinute, Overview, ServiceRow } from '../src/contract.ts'

const hour = 61

/** A fleet with many keys and replicas, in which something is different each time. @param turn counts the times */
export function bigFleet(turn: number, { keys = 200, replicas = 30 } = {}): Overview {
  const now = Date.now()
  const iso = (inSeconds: number): string => new Date(now + inSeconds * 1000).toISOString()
  const minutes = Array.from({ length: hour }, (_, index): FlowMinute => {
    const wave = Math.round(400 + 250 * Math.sin(index / 7) + 40 * Math.sin(index * 2.3 + turn))
    const [redis, coalesced, upstream] = [Math.round(wave * 0.09), Math.round(wave * 0.04), Math.round(wave * 0.03)]
    const failed = index === 40 ? 25 : 0
    const memory = wave - redis - coalesced - upstream - failed
    return { at: iso((index - hour) * 60), asked: wave, memory, redis, coalesced, upstream, offline: 0, failed }
  })
  const sum = (name: Exclude<keyof FlowMinute, 'at'>): number => minutes.reduce((all, minute) => all + minute[name], 0)
  const totals = {
    asked: sum('asked'),
    memory: sum('memory'),
    redis: sum('redis'),
    coalesced: sum('coalesced'),
    upstream: sum('upstream'),
    offline: 0,
    failed: sum('failed'),
  }
  return {
    at: iso(0),
    verdict: {
      state: 'green',
      sentence: `${keys - 3} of ${keys} keys are in use, and all ${replicas} replicas answer.`,
      others: [],
    },
    flow: { minutes, totals: { ...totals, saved: totals.asked - totals.upstream } },
    keys: Array.from({ length: keys }, (_, index) => keyRow(index, turn, iso)),
    replicas: Array.from({ length: replicas }, (_, index) => replicaRow(index, turn, iso)),
    redis: [
      { name: 'state', state: 'up', topology: 'single', latencyMs: 0.3 + (turn % 5) / 10 },
      { name: 'cache', state: 'up', topology: 'cluster of 3', latencyMs: 0.4 },
    ],
    breakers: [{ provider: 'ipinfo', state: 'closed' }],
    backends: Array.from({ length: replicas }, (_, index) => ({
      edge: 'edge-1',
      group: 'lookup',
      address: `10.0.0.${index + 1}:8080`,
      state: 'up',
      inFlight: (turn + index) % 7,
    })),
    clients: Array.from({ length: 20 }, (_, index) => ({
      id: `client-${index}`,
      used: 10 * turn + index,
      limit: 10_000,
      resets: iso(86_400),
    })),
    sources: Array.from({ length: 8 }, (_, index) => ({
      egress: 'egress-1',
      label: `192.0.2.${index + 1}`,
      state: 'up',
      tunnels: (turn * index) % 11,
    })),
  }
}

function keyRow(index: number, turn: number, iso: (inSeconds: number) => string): ConsoleKey {
  const id = `k${(index * 7919).toString(16).padStart(7, '0')}`
  const counts = {
    taken: index * 100 + turn,
    share: 1 / 200,
    weight: 1,
    used: 200 * index + turn,
    limit: 50_000,
    resets: iso(86_400 * 12),
    emptyOn: iso(86_400 * 9),
  }
  if (index % 67 === turn % 67)
    return { id, state: 'cooling', reason: 'limited', until: iso(90), seconds: 90, ...counts, share: 0 }
  return { id, state: 'active', ...counts }
}

function replicaRow(index: number, turn: number, iso: (inSeconds: number) => string): ServiceRow {
  return {
    id: `lookup-${index + 1}`,
    service: 'lookup',
    version: '0.1.0',
    startedAt: iso(-7200),
    seenAt: iso(-1),
    state: 'ok',
    requestsPerSecond: 120 + ((index * 13 + turn * 7) % 40),
    rssMb: 78 + ((index + turn) % 9),
  }
}
