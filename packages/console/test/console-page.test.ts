import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals'
import { accessibilityFindings, launchBrowser, steadyPage } from '@ipfleet/testing/browser.ts'
import { isInstalled } from '@ipfleet/testing/is-installed.ts'
import { until } from '@ipfleet/testing/until.ts'
import type { Browser, Page } from 'playwright-core'
import type { Overview } from '../src/contract.ts'
import { bigFleet } from './big-fleet.ts'
import { FakeConsole, type FakeConsoleOptions } from './fake-console.ts'

/** What somebody sees and does on the page of the console. */

// A browser is slow on a machine that does much else.
jest.setTimeout(180_000)

const hasChromium = await isInstalled('chromium', 'what the page shows is not tested')
const hostile = '<img src=x onerror="globalThis.wasRun=1"><script>globalThis.wasRun=1</script>"\'&amp;'
const smallFleet = (): Overview => bigFleet(0, { keys: 2, replicas: 2 })

let browser: Browser
beforeAll(async () => {
  if (hasChromium) browser = await launchBrowser()
})
afterAll(() => browser?.close())

/** Runs `act` with the page of a console with this data. */
async function withPage(
  options: FakeConsoleOptions,
  act: (page: Page, fake: FakeConsole) => Promise<void>,
): Promise<void> {
  using fake = await FakeConsole.start(options)
  const page = await steadyPage(browser, { viewport: { width: 1280, height: 900 } })
  // The time of the test alone bounds what it waits for.
  page.setDefaultTimeout(0)
  await page.goto(fake.url)
  await page.getByText('Live', { exact: true }).waitFor()
  await page.locator('#keys tbody tr').first().waitFor()
  await act(page, fake)
  await page.close()
}

async function lookUp(page: Page, query: string): Promise<void> {
  await page.getByLabel('Address or AS number').fill(query)
  await page.getByRole('button', { name: 'Look up' }).click()
  await page.locator('#address .map').waitFor()
}

/** All of a fleet in which everything that comes from elsewhere is markup. */
function hostileFleet(): Overview {
  const fleet = bigFleet(0, { keys: 2, replicas: 2 })
  return {
    ...fleet,
    verdict: { state: 'red', sentence: hostile, action: hostile, others: [hostile] },
    keys: fleet.keys.map((key) => ({ ...key, id: `${key.id}${hostile}`, group: hostile, provider: hostile })),
    replicas: fleet.replicas.map((row) => ({
      ...row,
      id: row.id + hostile,
      version: hostile,
      state: 'degraded',
      reason: hostile,
    })),
    redis: [{ name: 'state', state: 'down', topology: hostile, reason: hostile }],
    breakers: [{ provider: hostile, state: 'open' }],
    backends: [{ edge: hostile, group: hostile, address: hostile, state: 'down', inFlight: 0, lastError: hostile }],
    clients: [{ id: hostile, used: 1, limit: 2 }],
    sources: [{ egress: hostile, label: hostile, state: 'down', reason: hostile, tunnels: 0 }],
  }
}

;(hasChromium ? describe : describe.skip)('the page of the console', () => {
  test('shows a record, where it is and how it was answered, and is accessible', () =>
    withPage({ overview: smallFleet }, async (page) => {
      await lookUp(page, '8.8.8.8')
      const answer = page.locator('#address')
      await answer.getByRole('img', { name: 'World map with a mark at Mountain View, United States' }).waitFor()
      await answer.getByRole('row', { name: 'org AS15169 Google LLC' }).waitFor()
      await answer.getByText('Redis', { exact: true }).waitFor()
      expect(await accessibilityFindings(page)).toEqual([])
    }))

  test('benches a key once that is confirmed, with the CSRF token', async () => {
    const [key] = smallFleet().keys
    if (key === undefined) throw new Error('no key')
    await withPage(
      { overview: smallFleet, changed: { ...key, state: 'cooling', reason: 'operator' } },
      async (page, fake) => {
        const bench = page.getByRole('button', { name: /^Bench key/ }).first()
        await bench.click()
        await page.getByRole('dialog').getByRole('button', { name: 'Cancel' }).click()
        await bench.click()
        await page.getByRole('dialog').getByRole('button', { name: 'Bench' }).click()
        const changes = await until(() => fake.changes.length > 0 && fake.changes)
        expect(changes).toEqual([['POST', expect.stringMatching(/^\/api\/keys\/k\w+\/bench\?seconds=600$/), 'fake']])
        await page.getByText(/is benched on the whole fleet/).waitFor()
      },
    )
  })

  test('offers nothing that changes anything to a reader', () =>
    withPage({ overview: smallFleet, session: { role: 'read' } }, async (page) => {
      expect(await page.getByRole('button', { name: /Bench|Release|Test|Forget/ }).count()).toBe(0)
    }))

  test('shows markup as text, wherever it comes from', async () => {
    const answered = {
      query: hostile,
      status: 200,
      record: { hostname: hostile, [hostile]: hostile, loc: '1,2', city: hostile, country: hostile },
      tier: 'redis',
      units: 0,
      nextCosts: 0,
      keyClass: hostile,
    } as const
    await withPage({ overview: hostileFleet, answered }, async (page) => {
      await lookUp(page, hostile)
      const shown = await page.locator('main').innerText()
      // In each of the eight parts but the flow, which has numbers only, and the jobs, of which there are none.
      expect(shown.split('onerror').length - 1).toBeGreaterThan(25)
      expect(await page.locator('img').count()).toBe(0)
      expect(await page.evaluate(`'wasRun' in globalThis`)).toBe(false)
    })
  })
})
