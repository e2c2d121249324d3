import { readFile } from 'node:fs/promises'
import { accessibilityFindings, launchBrowser, steadyPage } from '@ipfleet/testing/browser.ts'
import { type FakeIpinfo, startFakeIpinfo } from '@ipfleet/testing/fake-ipinfo.ts'
import { isInstalled } from '@ipfleet/testing/is-installed.ts'
import { afterAll, afterEach, beforeAll, describe, expect, jest, test } from '@jest/globals'
import type { Browser, Page } from 'playwright-core'
import { adminToken, EdgeFleet, readToken } from './edge-fleet.ts'

/** The page behind an edge, with a bulk service: logins, and lists of addresses (issue 19). */

jest.setTimeout(300_000)
const hasChromium = await isInstalled('chromium', 'logins and jobs of the console are not tested')

const keys = ['console-key-1', 'console-key-2']
let fake: FakeIpinfo
let fleet: EdgeFleet
let browser: Browser
let page: Page

beforeAll(async () => {
  if (!hasChromium) return
  fake = await startFakeIpinfo({ keys: Object.fromEntries(keys.map((key) => [key, {}])) })
  fleet = await EdgeFleet.start({ IPINFO_BASE_URL: fake.url, IPINFO_KEYS: keys.join(',') })
  browser = await launchBrowser()
}, 120_000)
afterAll(async () => {
  await browser?.close()
  await fleet?.disposeAsync()
  await fake?.close()
})
afterEach(() => page?.context().close())

async function opened(): Promise<Page> {
  page = await steadyPage(browser, { viewport: { width: 1280, height: 900 } })
  page.setDefaultTimeout(0)
  await page.goto(`${fleet.edge.url}/console`)
  return page
}

async function logIn(token: string): Promise<void> {
  await page.getByLabel('Token', { exact: true }).fill(token)
  await page.getByRole('button', { name: 'Log in' }).click()
}

async function loggedIn(token: string): Promise<Page> {
  await opened()
  await logIn(token)
  await page.getByText('Live', { exact: true }).waitFor()
  return page
}

/** @param number of the chunk of a thousand */
const addressesOf = (number: number): string[] =>
  Array.from({ length: 1000 }, (_, index) => `${20 + number}.${index >> 8}.${index & 255}.9`)
const listOf = (...chunks: readonly number[]): string => `${chunks.flatMap(addressesOf).join('\n')}\n`

/** Drops a list on the page, as a hand does. */
async function drop(name: string, text: string): Promise<void> {
  const file = `new File([${JSON.stringify(text)}], ${JSON.stringify(name)})`
  const dataTransfer = await page.evaluateHandle(`(() => {
    const transfer = new DataTransfer()
    transfer.items.add(${file})
    return transfer
  })()`)
  await page.locator('.drop-zone').dispatchEvent('drop', { dataTransfer })
}

/** What is saved by pressing this. */
async function saved(button: ReturnType<Page['getByRole']>): Promise<readonly [name: string, content: Buffer]> {
  const [download] = await Promise.all([page.waitForEvent('download'), button.click()])
  return [download.suggestedFilename(), await readFile(await download.path())]
}

;(hasChromium ? describe : describe.skip)('the page of a console behind an edge', () => {
  test('a wrong token is told, and both right ones let in, until the logout', async () => {
    await opened()
    await logIn('no-token-of-ours')
    await page.getByRole('alert').filter({ hasText: 'neither ADMIN_TOKEN nor CONSOLE_READ_TOKEN' }).waitFor()
    expect(await page.getByLabel('Token', { exact: true }).inputValue()).toBe('')
    expect(await page.getByRole('navigation').count()).toBe(0)
    expect(await accessibilityFindings(page)).toEqual([])
    await logIn(adminToken)
    await page.getByText('everything can be changed').waitFor()
    await page.getByRole('button', { name: 'Log out' }).click()
    await page.getByLabel('Token', { exact: true }).waitFor()
    await page.reload()
    await page.getByLabel('Token', { exact: true }).waitFor()
    await logIn(readToken)
    await page.getByText('nothing can be changed').waitFor()
  })
  test('each part shows what there is', async () => {
    await loggedIn(readToken)
    await page.getByLabel('Address or AS number').fill('8.8.8.8')
    await page.getByRole('button', { name: 'Look up' }).click()
    await page
      .locator('#address')
      .getByText('this replica’s memory')
      .or(page.locator('#address').getByText('upstream', { exact: true }))
      .waitFor()
    const rowsIn = (part: string, text: string) => page.locator(`#${part} tbody tr`).filter({ hasText: text }).first()
    for (const [part, text] of [
      ['keys', 'Active'],
      ['fleet', 'lookup'],
      ['fleet', 'bulk'],
      ['fleet', 'edge'],
      ['fleet', 'egress'],
      ['fleet', 'server'],
      ['fleet', 'Closed: it is asked'],
      ['fleet', 'default · '],
      ['clients', 'shop'],
      ['sources', '127.0.0.1'],
      ['sources', 'this machine does not have the address'],
    ] as const) {
      await rowsIn(part, text).waitFor()
    }
    await page
      .locator('#flow .stage.asked strong')
      .filter({ hasText: /^[1-9]/ })
      .waitFor()
  })

  test('who may look only is offered nothing that changes anything', async () => {
    await loggedIn(readToken)
    await page.locator('#keys tbody tr').nth(1).waitFor()
    await page.locator('#jobs').getByText('No jobs yet.').waitFor()
    expect(await page.getByRole('button', { name: /Bench|Release|Test|Forget|Cancel|Remove/ }).count()).toBe(0)
    expect(await page.locator('input[type=file]').count()).toBe(0)
  })

  test('a list is dropped, followed, downloaded, summed up and handed on', async () => {
    await loggedIn(adminToken)
    const gate = fake.hold({ when: ({ items = [] }) => items.some((item) => item.startsWith('22.0.0.9')) })
    await drop('visits.txt', listOf(0, 1, 2))
    const row = page.locator('#jobs tbody tr').filter({ hasText: 'visits.txt' })
    await row.getByText('Running').waitFor()
    await row.getByText('2,000 of 3,000 (66.7%)').waitFor()
    await row.getByText(/^(?:\d+ (?:s|min|h) ?)+$/).waitFor()
    await page.locator('#jobs .head').getByText('1 under way').waitFor()
    gate.release()
    await row.getByText('Completed').waitFor()
    await row.getByText('3,000 of 3,000 (100%)').waitFor()

    const [csvName, csv] = await saved(row.getByRole('button', { name: 'CSV: visits.txt' }))
    expect(csvName).toMatch(/\.csv$/)
    expect(csv.toString().trim().split('\n')).toHaveLength(3001)
    const [, ndjson] = await saved(row.getByRole('button', { name: 'NDJSON: visits.txt' }))
    expect(JSON.parse(ndjson.toString().split('\n')[0] ?? '')).toMatchObject({ input: '20.0.0.9', ip: '20.0.0.9' })

    await row.getByRole('button', { name: 'Summary: visits.txt' }).click()
    const summary = page.locator('#jobs .summary')
    await summary.getByText('3,000 addresses, 3,000 different ones').waitFor()
    await summary.getByRole('img', { name: /^World map, countries by addresses: / }).waitFor()
    expect(await summary.locator('[data-shade]').count()).toBeGreaterThan(0)
    expect(await accessibilityFindings(page)).toEqual([])

    const [svgName, svg] = await saved(summary.getByRole('button', { name: 'Save the picture as SVG' }))
    expect(svgName).toMatch(/\.svg$/)
    expect(svg.toString()).toContain('3,000 addresses, 3,000 different ones')
    // It stands by itself, and programs other than browsers read it.
    expect(/href=|data-shade|color\(|var\(/.exec(svg.toString())?.[0]).toBeUndefined()
    const [, png] = await saved(summary.getByRole('button', { name: 'Save the picture as PNG' }))
    expect(png.subarray(1, 4).toString()).toBe('PNG')

    // Whoever has the link sees the report, without a login.
    const link = await row.getByRole('link', { name: 'Report: visits.txt' }).getAttribute('href')
    const report = await fetch(new URL(link ?? '', fleet.edge.url))
    expect(await report.text()).toContain('Report of 3,000 addresses')
  })

  test('a job is cancelled, then removed', async () => {
    await loggedIn(adminToken)
    const gate = fake.hold({ when: ({ items = [] }) => items.some((item) => item.startsWith('30.')) })
    await page
      .locator('#list')
      .setInputFiles({ name: 'held.txt', mimeType: 'text/plain', buffer: Buffer.from(listOf(10)) })
    const row = page.locator('#jobs tbody tr').filter({ hasText: 'held.txt' })
    await row.getByText('Running').waitFor()
    await row.getByRole('button', { name: 'Cancel: held.txt' }).click()
    await row.getByText('Cancelled').waitFor()
    gate.release()
    await row.getByRole('button', { name: 'Remove: held.txt' }).click()
    await page.getByRole('dialog').getByRole('button', { name: 'Remove' }).click()
    await row.waitFor({ state: 'detached' })
  })

  test('a list that cannot be read is told by name', async () => {
    await loggedIn(adminToken)
    await drop('nothing.txt', '')
    await page.locator('#jobs .outcome').filter({ hasText: 'nothing.txt' }).waitFor()
  })

  // The last one: the tokens are others after it.
  test('a session ends when its token is another one', async () => {
    await loggedIn(adminToken)
    await fleet.replaceReplica({ ADMIN_TOKEN: 'another-admin-token' })
    await page.getByLabel('Token', { exact: true }).waitFor()
    await logIn(adminToken)
    await page.getByRole('alert').filter({ hasText: 'neither ADMIN_TOKEN' }).waitFor()
    await logIn('another-admin-token')
    await page.getByText('Live', { exact: true }).waitFor()
  })
})
