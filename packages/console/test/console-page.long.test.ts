import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals'
import { accessibilityFindings, launchBrowser } from '@ipfleet/testing/browser.ts'
import { isInstalled } from '@ipfleet/testing/is-installed.ts'
import { until } from '@ipfleet/testing/until.ts'
import type { Browser, BrowserContextOptions, Page } from 'playwright-core'
import type { Overview } from '../src/contract.ts'
import { bigFleet } from './big-fleet.ts'
import { FakeConsole } from './fake-console.ts'

/** The page by itself, with data that it takes many processes, or hostile ones, to come by. */

const hasChromium = await isInstalled('chromium', 'what the page shows is not tested')
const desk = { viewport: { width: 1280, height: 900 } }
const phone = { viewport: { width: 360, height: 740 } }
const hostile = '<img src=x onerror="globalThis.wasRun=1"><script>globalThis.wasRun=1</script>"\'&amp;'

let browser: Browser
let pages: Page[] = []
beforeAll(async () => {
  if (hasChromium) browser = await launchBrowser()
})
afterEach(async () => {
  for (const page of pages) await page.close()
  pages = []
})
afterAll(() => browser?.close())

async function opened(fake: FakeConsole, options: BrowserContextOptions = desk): Promise<Page> {
  const page = await browser.newPage(options)
  pages.push(page)
  await page.goto(fake.url)
  await page.getByText('Live', { exact: true }).waitFor()
  await page.locator('#keys tbody tr').first().waitFor()
  return page
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
  test('never keeps the browser from answering for long, with 200 keys and 30 replicas', async () => {
    let turn = 0
    await using fake = await FakeConsole.start({ overview: () => bigFleet((turn += 1)) })
    const page = await browser.newPage(desk)
    pages.push(page)
    await browser.startTracing(page, { categories: ['toplevel', 'disabled-by-default-devtools.timeline'] })
    await page.goto(fake.url)
    for (const name of ['Show all 200', 'Show all 30']) await page.getByRole('button', { name }).first().click()
    await page.locator('#keys tbody tr').nth(199).waitFor()
    await until(() => turn >= 30, 120_000)
    const trace = JSON.parse(String(await browser.stopTracing())) as { readonly traceEvents: readonly TraceEvent[] }
    const own = trace.traceEvents.filter(
      ({ name, pid }) => name.endsWith('RunTask') && pid === rendererOf(trace.traceEvents),
    )
    // The time of the processor: a machine with other work stops a task for as long as it likes.
    expect(own.length).toBeGreaterThan(100)
    const longest = Math.max(...own.map(({ tdur = 0 }) => tdur)) / 1000
    expect(longest).toBeLessThan(50)
  })

  test('takes at most 250 KB', async () => {
    await using fake = await FakeConsole.start({ overview: () => bigFleet(0) })
    const page = await opened(fake)
    await lookUp(page)
    expect(fake.fileBytes).toBeLessThan(250_000)
  })

  test.each([
    ['light', desk],
    ['dark', { ...desk, colorScheme: 'dark' }],
    ['on a phone', phone],
  ] as const)('is accessible and no wider than its window: %s', async (_name, options) => {
    await using fake = await FakeConsole.start({ overview: () => bigFleet(0) })
    const page = await opened(fake, options)
    await lookUp(page)
    await page.getByText('As a table').click()
    expect(await accessibilityFindings(page)).toEqual([])
    expect(await page.evaluate('document.documentElement.scrollWidth')).toBe(options.viewport.width)
    await page
      .getByRole('button', { name: /^Bench key/ })
      .first()
      .click()
    await page.getByRole('dialog').waitFor()
    expect(await accessibilityFindings(page)).toEqual([])
  })

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
    await using fake = await FakeConsole.start({ overview: hostileFleet, answered })
    const page = await opened(fake)
    await lookUp(page)
    const shown = await page.locator('main').innerText()
    // In each of the eight parts but the flow, which has numbers only, and the jobs, of which there are none.
    expect(shown.split('onerror').length - 1).toBeGreaterThan(25)
    expect(await page.locator('img').count()).toBe(0)
    expect(await page.evaluate(() => 'wasRun' in globalThis)).toBe(false)
  })

  test('says since when it is stale, and goes on by itself', async () => {
    await using fake = await FakeConsole.start({ overview: () => bigFleet(0) })
    const page = await opened(fake)
    fake.refuses = true
    fake.breakStreams()
    await page.getByText(/^Stale since \d\d:\d\d:\d\d$/).waitFor()
    fake.refuses = false
    await page.getByText('Live', { exact: true }).waitFor()
  })

  test('changes rows in place: what has the focus keeps it', async () => {
    let turn = 0
    await using fake = await FakeConsole.start({ overview: () => bigFleet((turn += 1)), intervalMs: 100 })
    const page = await opened(fake)
    const button = page.getByRole('button', { name: /^Test key/ }).nth(5)
    await button.focus()
    const before = await page.evaluate(`document.activeElement.getAttribute('aria-label')`)
    const reached = turn + 10
    await until(() => turn > reached)
    expect(await page.evaluate(`document.activeElement.getAttribute('aria-label')`)).toBe(before)
  })
})

interface TraceEvent {
  readonly name: string
  readonly pid: number
  readonly tdur?: number
  readonly args?: { readonly data?: { readonly url?: string } }
}

/** The process that has run the scripts of the page. */
function rendererOf(events: readonly TraceEvent[]): number | undefined {
  return events.find(({ name, args }) => name === 'EvaluateScript' && args?.data?.url?.endsWith('page.ts') === true)
    ?.pid
}

async function lookUp(page: Page): Promise<void> {
  await page.getByLabel('Address or AS number').fill('8.8.8.8')
  await page.getByRole('button', { name: 'Look up' }).click()
  await page.locator('#address .map').waitFor()
}
