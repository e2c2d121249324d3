import { expect, test } from '@jest/globals'
import { manualClock } from '@ipfleet/testing/manual-clock.ts'
import { keyQuotaContract } from '../test/key-quota-contract.ts'
import { keyScopeContract } from '../test/key-scope-contract.ts'
import { keyStoreContract, type OpenStores } from '../test/key-store-contract.ts'
import { LocalKeyStore } from './local-key-store.ts'

const openLocal: OpenStores = async (options) => {
  const clock = manualClock(1_000_000)
  return {
    stores: [new LocalKeyStore(clock, options)],
    moment: async () => clock.advance(10),
    close: async () => {},
  }
}

keyStoreContract('LocalKeyStore', openLocal)
keyQuotaContract('LocalKeyStore', openLocal)
keyScopeContract('LocalKeyStore', openLocal)

test('replicas that start together do not all begin with the same key', async () => {
  const ids = Array.from({ length: 10 }, (_, index) => `key${index}`)
  const stores = Array.from({ length: 30 }, () => new LocalKeyStore(manualClock(), { trialMs: 1000 }))
  const firsts = await Promise.all(stores.map((store) => store.take(ids)))
  expect(new Set(firsts.map((taken) => (taken.kind === 'key' ? taken.id : undefined))).size).toBeGreaterThan(1)
})

test('a bench ends at its very millisecond', async () => {
  const clock = manualClock()
  const store = new LocalKeyStore(clock, { trialMs: 1000 })
  await store.bench({ id: 'a', reason: 'limited', durationMs: 500 })
  clock.advance(499)
  expect(await store.take(['a'])).toEqual({ kind: 'none', retryAfterMs: 1, trialUnderWay: false })
  clock.advance(1)
  expect(await store.take(['a'])).toEqual({ kind: 'key', id: 'a', trial: true })
})

test('what is handed on are the benches that still run', async () => {
  const clock = manualClock()
  const store = new LocalKeyStore(clock, { trialMs: 1000 })
  await store.bench({ id: 'short', reason: 'limited', durationMs: 100 })
  await store.bench({ id: 'long', reason: 'denied', durationMs: 5000 })
  clock.advance(1000)
  expect(store.running()).toEqual([{ id: 'long', reason: 'denied', durationMs: 4000 }])
})
