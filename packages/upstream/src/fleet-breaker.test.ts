import { describe, expect, test } from '@jest/globals'
import { manualClock } from '@ipfleet/testing/manual-clock.ts'
import { localBreakerStates } from './shared-breaker-state.ts'
import { type BreakerSettings, type CallResult, FleetBreaker } from './fleet-breaker.ts'

const settings: BreakerSettings = {
  failureShare: 0.5,
  slowShare: 0.5,
  slowMs: 1000,
  window: 10,
  minCalls: 4,
  openMs: 10_000,
  probeMs: 5000,
}

function breakerAt(clock = manualClock()) {
  const breaker = new FleetBreaker(settings, localBreakerStates.of('core'), clock)
  const call = async (result: CallResult, durationMs = 10) => {
    const admission = await breaker.admit()
    if (admission.kind === 'pass') await breaker.report(admission, result, durationMs)
    return admission.kind
  }
  return { clock, breaker, call }
}

async function openedAt(clock = manualClock()) {
  const parts = breakerAt(clock)
  for (let failures = 0; failures < 4; failures += 1) await parts.call('failed')
  return parts
}

describe('the breaker opens', () => {
  test('when more than the share of calls failed, and not before there are enough of them', async () => {
    const { breaker, call } = breakerAt()
    for (let failures = 0; failures < 3; failures += 1) await call('failed')
    expect(breaker.state).toBe('closed')
    await call('failed')
    expect(breaker.state).toBe('open')
  })

  test('when more than the share of calls were slow, although they succeeded', async () => {
    const { breaker, call } = breakerAt()
    for (let slow = 0; slow < 4; slow += 1) await call('ok', 1001)
    expect(breaker.state).toBe('open')
  })

  test('not for calls that never got to upstream', async () => {
    const { breaker, call } = breakerAt()
    for (let unknown = 0; unknown < 20; unknown += 1) await call('unknown')
    expect(breaker.state).toBe('closed')
  })

  test('not while enough calls succeed', async () => {
    const { breaker, call } = breakerAt()
    for (let pair = 0; pair < 20; pair += 1) {
      await call('ok')
      await call('failed')
    }
    expect(breaker.state).toBe('closed')
  })
})

describe('an open breaker', () => {
  test('refuses and says how long', async () => {
    const { clock, breaker } = await openedAt()
    clock.advance(4000)
    expect(await breaker.admit()).toEqual({ kind: 'refused', retryAfterMs: 6000 })
  })

  test('lets exactly one call through when its pause is over', async () => {
    const { clock, breaker } = await openedAt()
    clock.advance(10_000)
    expect(breaker.state).toBe('half-open')
    expect(await breaker.admit()).toEqual({ kind: 'pass', isProbe: true })
    expect(await breaker.admit()).toMatchObject({ kind: 'refused' })
  })

  test('closes when that call succeeds, and holds nothing against upstream', async () => {
    const { clock, breaker, call } = await openedAt()
    clock.advance(10_000)
    await call('ok')
    expect(breaker.state).toBe('closed')
    await call('failed')
    expect(breaker.state).toBe('closed')
  })

  test('opens again when that call fails', async () => {
    const { clock, breaker, call } = await openedAt()
    clock.advance(10_000)
    await call('failed')
    expect(await breaker.admit()).toEqual({ kind: 'refused', retryAfterMs: 10_000 })
  })

  test('lets the next one through when that call told nothing', async () => {
    const { clock, breaker, call } = await openedAt()
    clock.advance(10_000)
    await call('unknown')
    expect(await breaker.admit()).toEqual({ kind: 'pass', isProbe: true })
  })

  test('is not moved by calls that began before it opened', async () => {
    const { breaker, call } = breakerAt()
    const early = await breaker.admit()
    for (let failures = 0; failures < 4; failures += 1) await call('failed')
    if (early.kind === 'pass') await breaker.report(early, 'ok', 10)
    expect(breaker.state).toBe('open')
  })
})
