import { createInterface } from 'node:readline'
import { Readable } from 'node:stream'
import { launchBrowser } from '@ipfleet/testing/browser.ts'
import { isInstalled } from '@ipfleet/testing/is-installed.ts'
import { until } from '@ipfleet/testing/until.ts'
import { describe, expect, jest, test } from '@jest/globals'
import type { Page } from 'playwright-core'
import { adminToken, EdgeFleet } from './edge-fleet.ts'

/** A long list on the page of the console, looked up by the embedded database (issue 19). */

const hasChromium = await isInstalled('chromium', 'the summary of a million lines on the page is not tested')
jest.setTimeout(1_800_000)

const lines = 1_000_000
/** Public addresses, some of which come again. */
const addressAt = (at: number): string => {
  const number = (at * 7919) % 700_000
  return `${20 + (number >> 16)}.${(number >> 8) & 255}.${number & 255}.9`
}

/** What the results of a job say, counted without any code of the product. */
async function countByHand(results: ReadableStream<Uint8Array>) {
  const [countries, networks] = [new Map<string, number>(), new Map<string, number>()]
  const inputs = new Set<string>()
  let total = 0
  for await (const line of createInterface({ input: Readable.fromWeb(results as never) })) {
    const { input, country, org } = JSON.parse(line) as { input: string; country?: string; org?: string }
    total += 1
    inputs.add(input)
    if (country !== undefined) countries.set(country, (countries.get(country) ?? 0) + 1)
    if (org !== undefined) networks.set(org, (networks.get(org) ?? 0) + 1)
  }
  return { total, unique: inputs.size, countries: Object.fromEntries(countries), asns: Object.fromEntries(networks) }
}

const rowsOf = (page: Page, title: string): Promise<string[]> =>
  page
    .locator('.ranking')
    .filter({ has: page.locator('caption', { hasText: title }) })
    .locator('tr')
    .allInnerTexts()

;(hasChromium ? describe : describe.skip)('a million lines', () => {
  test('have their summary on the page seconds after the end, equal to one counted by hand', async () => {
    await using fleet = await EdgeFleet.start()
    const browser = await launchBrowser()
    try {
      const page = await browser.newPage()
      page.setDefaultTimeout(0)
      await page.goto(`${fleet.edge.url}/console`)
      await page.getByLabel('Token', { exact: true }).fill(adminToken)
      await page.getByRole('button', { name: 'Log in' }).click()
      await page.getByText('Live', { exact: true }).waitFor()
      const list = Buffer.from(Array.from({ length: lines }, (_, at) => addressAt(at)).join('\n'))
      await page.locator('#list').setInputFiles({ name: 'million.txt', mimeType: 'text/plain', buffer: list })
      const row = page.locator('#jobs tbody tr').filter({ hasText: 'million.txt' })
      const path = await row.getByRole('link', { name: 'Report: million.txt' }).getAttribute('href')
      const job = new URL((path ?? '').split('/').slice(0, 3).join('/'), fleet.edge.url)
      await until(async () => ((await (await fetch(job)).json()) as { state: string }).state === 'completed', 1_500_000)
      const endedMs = performance.now()
      await row.getByRole('button', { name: 'Summary: million.txt' }).click()
      await page.locator('#jobs .summary').getByText('1,000,000 addresses, 700,000 different ones').waitFor()
      const tookMs = performance.now() - endedMs
      process.stdout.write(`the summary was on the page after ${Math.round(tookMs)} ms\n`)

      const { body } = await fetch(`${job.href}/results`)
      if (body === null) throw new Error('no results')
      const counted = await countByHand(body)
      expect(await (await fetch(`${job.href}/summary`)).json()).toMatchObject(counted)
      const names = new Intl.DisplayNames('en', { type: 'region' })
      const [most] = Object.entries(counted.countries).toSorted(([, a], [, b]) => b - a)
      const [first = ''] = await rowsOf(page, 'Countries')
      expect(first).toContain(names.of(most?.[0] ?? ''))
      expect(first).toContain(most?.[1].toLocaleString('en'))
      // Three by itself; a machine with other work takes longer.
      expect(tookMs).toBeLessThan(10_000)
    } finally {
      await browser.close()
    }
  })
})
