import { gzipSync } from 'node:zlib'
import { expect, test } from '@jest/globals'
import { chunkResult } from '@ipfleet/fleet-client/chunk-result.ts'
import { IpSummary, type ListSummary } from '@ipfleet/ip-lists/ip-summary.ts'
import { addressOf, ApiHarness } from './api-harness.ts'

const lines = 1_000_000
const isAddress = (at: number): boolean => at % 1000 !== 999
/** Of 400,000 addresses, each of which comes two or three times. */
const numberAt = (at: number): number => (at * 7919) % 400_000
const recordOf = (number: number) => ({
  ip: addressOf(number),
  city: `City ${number % 5000}`,
  country: ['US', 'DE', 'BR'][number % 3],
  org: `AS${number % 8000} Network`,
})

/** Counted from the inputs alone. */
function countByHand(): Pick<ListSummary, 'total' | 'unique' | 'countries' | 'asns'> {
  const [countries, asns] = [new Map<string, number>(), new Map<string, number>()]
  const seen = new Set<number>()
  for (let at = 0; at < lines; at += 1) {
    if (!isAddress(at)) continue
    const { country = '', org } = recordOf(numberAt(at))
    seen.add(numberAt(at))
    countries.set(country, (countries.get(country) ?? 0) + 1)
    asns.set(org, (asns.get(org) ?? 0) + 1)
  }
  return {
    total: lines - lines / 1000,
    unique: seen.size,
    countries: Object.fromEntries(countries),
    asns: Object.fromEntries(asns),
  }
}

/** Does all chunks as a worker would. */
async function finishAll({ store }: ApiHarness, id: string, chunks: number): Promise<void> {
  const numbers = new Map(Array.from({ length: 400_000 }, (_, number) => [addressOf(number), number]))
  for (let index = 0; index < chunks; index += 1) {
    const begun = await store.begin(id, index)
    if (begun.kind !== 'inputs') throw new Error(`chunk ${index} is ${begun.kind}`)
    const known = begun.inputs.filter((input) => numbers.has(input))
    const values = new Map(
      known.map((input) => [input, { kind: 'record', record: recordOf(numbers.get(input) ?? 0) }] as const),
    )
    const summary = new IpSummary()
    const result = chunkResult(begun, values, 0, summary)
    await store.finish(id, index, { ...result, summary: summary.toPart() })
  }
}

// Issue 19: the summary is counted while chunks end, not afterwards.
test('a million lines have their report seconds after their end, equal to one made by hand', async () => {
  await using harness = await ApiHarness.start({ maxBytes: 50_000_000 })
  const list = Array.from({ length: lines }, (_, at) => (isAddress(at) ? addressOf(numberAt(at)) : `nonsense ${at}`))
  const packed = { 'content-encoding': 'gzip', 'content-type': 'text/plain' }
  const answer = await harness.ask('/jobs', { method: 'POST', headers: packed, body: gzipSync(list.join('\n')) })
  const id = String(answer.json().id)
  await finishAll(harness, id, (await harness.read(id)).chunks.total)
  const endedMs = performance.now()
  const page = await harness.ask(`/jobs/${id}/report`)
  const tookMs = performance.now() - endedMs
  const { storedBytes } = await harness.read(id)
  process.stdout.write(`the report took ${Math.round(tookMs)} ms; ${storedBytes} bytes\n`)
  expect(page.text).toContain('Report of 999,000 addresses')
  expect((await harness.ask(`/jobs/${id}/summary`)).json()).toMatchObject(countByHand())
  // A service by itself takes two thirds of that; under Jest everything takes longer.
  expect(tookMs).toBeLessThan(10_000)
}, 600_000)
