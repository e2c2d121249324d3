import { expect, test } from '@jest/globals'
import { localBreakerStates } from './shared-breaker-state.ts'
import { type SourceWatch, UpstreamGate } from './upstream-gate.ts'

const product = { name: 'core', kind: 'plan' } as const
const answer = { kind: 'answer' } as const
const limitedAnswer = { kind: 'failure', code: 'keys_exhausted' } as const

const gateOptions = {
  breaker: { failureShare: 0.5, slowShare: 0.5, slowMs: 0, window: 10, minCalls: 4, openMs: 10_000, probeMs: 5000 },
  shared: localBreakerStates,
  concurrency: 8,
  isAlone: () => false,
}

/** A gate whose source was limited a moment ago, so that the next call is the probe. */
async function limitedGate(): Promise<UpstreamGate> {
  const gate = new UpstreamGate(gateOptions)
  await gate.run(product, async (source) => {
    source.limited(0)
    return limitedAnswer
  })
  return gate
}

/** A probe that is on its way until it is told how it ends. */
function probe(gate: UpstreamGate) {
  const { promise, resolve } = Promise.withResolvers<'well' | 'limited'>()
  const outcome = gate.run(product, async (source: SourceWatch) => {
    expect(source.isProbe).toBe(true)
    if ((await promise) === 'well') return answer
    source.limited(30_000)
    return limitedAnswer
  })
  return { outcome, end: resolve }
}

test('a call waits for the probe of a source that was limited, and is made when that is well', async () => {
  const gate = await limitedGate()
  const first = probe(gate)
  const second = gate.run(product, async ({ isProbe }) => ({ ...answer, isProbe }))
  first.end('well')
  expect(await first.outcome).toEqual(answer)
  expect(await second).toEqual({ ...answer, isProbe: false })
})

test('a call that waits is told how long the source is left alone when the probe is limited, too', async () => {
  const gate = await limitedGate()
  const first = probe(gate)
  const second = gate.run(product, async () => answer)
  first.end('limited')
  expect(await first.outcome).toEqual(limitedAnswer)
  expect(await second).toEqual({ kind: 'failure', code: 'keys_exhausted', retryAfterSeconds: 30 })
})

test('a call waits for the probe no longer than until its deadline', async () => {
  const gate = await limitedGate()
  const first = probe(gate)
  const refused = { kind: 'failure', code: 'keys_exhausted', retryAfterSeconds: 1 }
  expect(await gate.run(product, async () => answer, { deadlineMs: performance.now() })).toEqual(refused)
  first.end('well')
  await first.outcome
})

test('calls that have no time left are not made, and say nothing about upstream', async () => {
  const gate = new UpstreamGate(gateOptions)
  const late = { deadlineMs: performance.now() }
  const timeout = { kind: 'failure', code: 'upstream_timeout' }
  for (let call = 0; call < 20; call += 1) expect(await gate.run(product, async () => answer, late)).toEqual(timeout)
  expect([gate.state, await gate.run(product, async () => answer)]).toEqual(['closed', answer])
})
