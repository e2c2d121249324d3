import { gzipSync } from 'node:zlib'
import { expect, test } from '@jest/globals'
import type { ListSummary } from '@ipfleet/ip-lists/ip-summary.ts'
import { until } from '@ipfleet/testing/until.ts'
import { BulkHarness } from './bulk-harness.ts'

interface ResultLine {
  readonly input: string
  readonly error?: unknown
  readonly bogon?: boolean
  readonly country?: string
  readonly org?: string
}

/** In addresses of 400,000 networks of a /24, each of which comes two or three times. */
const lineAt = (at: number): string => {
  const number = (at * 7919) % 400_000
  return at % 1000 === 999 ? `nonsense ${at}` : `${24 + (number >> 16)}.${(number >> 8) & 255}.${number & 255}.9`
}

// Issue 19: the summary is counted while chunks end, not afterwards.
test('a million lines have their report within three seconds of their end, equal to one made of the results', async () => {
  await using harness = await BulkHarness.start({ bulkEnv: { REDIS_TIMEOUT_MS: '10000' } })
  const lines = Array.from({ length: 1_000_000 }, (_, at) => lineAt(at))
  const id = await harness.post(gzipSync(lines.join('\n')), '', { 'Content-Encoding': 'gzip' })
  const isOver = async (): Promise<boolean> => (await harness.job(id)).state === 'completed'
  await until(isOver, 550_000)
  const endedMs = performance.now()
  const response = await fetch(`${harness.url}/jobs/${id}/report`)
  const page = await response.text()
  const tookMs = performance.now() - endedMs
  console.log(`the report took ${Math.round(tookMs)} ms, of ${JSON.stringify((await harness.job(id)).lines)}`)
  expect(page).toContain('Report of 999,000 addresses')
  expect(tookMs).toBeLessThan(3000)
  const summary = (await (await fetch(`${harness.url}/jobs/${id}/summary`)).json()) as ListSummary
  const byHand = await countByHand(harness, id)
  expect({ ...summary, countries: sorted(summary.countries), asns: sorted(summary.asns) }).toMatchObject(byHand)
}, 600_000)

async function countByHand(harness: BulkHarness, id: string): Promise<object> {
  const [countries, asns, seen] = [new Map<string, number>(), new Map<string, number>(), new Set<string>()]
  let total = 0
  let bogon = 0
  for (const line of (await harness.results(id)).trimEnd().split('\n')) {
    const { input, ...record } = JSON.parse(line) as ResultLine
    if (input.startsWith('nonsense')) continue
    total += 1
    seen.add(input)
    if (record.bogon === true) bogon += 1
    for (const [counts, value] of [
      [countries, record.country],
      [asns, record.org],
    ] as const) {
      if (value !== undefined) counts.set(value, (counts.get(value) ?? 0) + 1)
    }
  }
  const [countryCounts, asnCounts] = [countries, asns].map((counts) => sorted(Object.fromEntries(counts)))
  return { total, unique: seen.size, bogon, countries: countryCounts, asns: asnCounts }
}

const sorted = (counts: Readonly<Record<string, number>>): [string, number][] =>
  Object.entries(counts).toSorted(([one], [other]) => (one < other ? -1 : 1))
