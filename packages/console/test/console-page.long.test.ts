import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals'
import { accessibilityFindings, launchBrowser } from '@ipfleet/testing/browser.ts'
import { isInstalled } from '@ipfleet/testing/is-installed.ts'
import { until } from '@ipfleet/testing/until.ts'
import type { Browser, BrowserContextOptions, Page } from 'playwright-core'
import { bigFleet } from './big-fleet.ts'
import { FakeConsole } from './fake-console.ts'

/** The page by itself, with data that it takes many processes, or hostile ones, to come by. */

const hasChromium = await isInstalled('chromium', 'what the page shows is not tested')
const desk = { viewport: { width: 1280, height: 900 } }
const phone = { viewport: { width: 360, height: 740 } }

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

;(hasChromium ? describe : describe.skip)('the page of the console', () => {
  test('never keeps the browser from answering for long, with 200 keys and 30 replicas', async () => {
    let turn = 0
    using fake = await FakeConsole.start({ overview: () => bigFleet((turn += 1)) })
    const page = await browser.newPage(desk)
    pages.push(page)
    await browser.startTracing(page, { categories: ['disabled-by-default-devtools.timeline'] })
    await page.goto(fake.url)
    for (const name of ['Show all 200', 'Show all 30']) await page.getByRole('button', { name }).first().click()
    await page.locator('#keys tbody tr').nth(199).waitFor()
    await until(() => turn >= 30, 120_000)
    const trace = JSON.parse(String(await browser.stopTracing())) as { readonly traceEvents: readonly TraceEvent[] }
    const thread = trace.traceEvents.find(({ args }) => args?.name === 'CrRendererMain')?.tid
    const own = trace.traceEvents.filter(({ name, tid }) => name === 'RunTask' && tid === thread)
    // The time of the processor: a machine with other work stops a task for as long as it likes.
    expect(own.length).toBeGreaterThan(100)
    const longest = Math.max(...own.map(({ tdur = 0 }) => tdur)) / 1000
    expect(longest).toBeLessThan(50)
  })

  test('takes at most 250 KB', async () => {
    using fake = await FakeConsole.start({ overview: () => bigFleet(0) })
    const page = await opened(fake)
    await lookUp(page)
    expect(fake.fileBytes).toBeLessThan(250_000)
  })

  test.each([
    ['dark', { ...desk, colorScheme: 'dark' }],
    ['on a phone', phone],
  ] as const)('is accessible and no wider than its window: %s', async (_name, options) => {
    using fake = await FakeConsole.start({ overview: () => bigFleet(0, { keys: 3, replicas: 2 }) })
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

  test('says since when it is stale, and goes on by itself', async () => {
    using fake = await FakeConsole.start({ overview: () => bigFleet(0) })
    const page = await opened(fake)
    fake.refuses = true
    fake.breakStreams()
    await page.getByText(/^Stale since \d\d:\d\d:\d\d$/).waitFor()
    fake.refuses = false
    await page.getByText('Live', { exact: true }).waitFor()
  })

  test('changes rows in place: what has the focus keeps it', async () => {
    let turn = 0
    using fake = await FakeConsole.start({ overview: () => bigFleet((turn += 1)), intervalMs: 100 })
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
  readonly tid: number
  /** Microseconds of the processor. */
  readonly tdur?: number
  /** Of an event that names a thread. */
  readonly args?: { readonly name?: string }
}

async function lookUp(page: Page): Promise<void> {
  await page.getByLabel('Address or AS number').fill('8.8.8.8')
  await page.getByRole('button', { name: 'Look up' }).click()
  await page.locator('#address .map').waitFor()
}
