import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { accessibilityFindings, launchBrowser, steadyPage } from '@ipfleet/testing/browser.ts'
import { type FakeIpinfo, startFakeIpinfo } from '@ipfleet/testing/fake-ipinfo.ts'
import { isInstalled } from '@ipfleet/testing/is-installed.ts'
import { temporaryFolder } from '@ipfleet/testing/service-process-folder.ts'
import { type ServiceProcess, startReplica, startService } from '@ipfleet/testing/service-process.ts'
import { startTestRedis } from '@ipfleet/testing/test-redis.ts'
import { afterAll, afterEach, beforeAll, describe, expect, jest, test } from '@jest/globals'
import type { Browser, Page } from 'playwright-core'

/** The page behind an edge, with a bulk service: logins, and lists of addresses (issue 19). */

jest.setTimeout(300_000)
const hasChromium = await isInstalled('chromium', 'logins and jobs of the console are not tested')

const adminToken = 'console-admin-token'
const readToken = 'console-read-token'
const entryOf = (service: string): string =>
  fileURLToPath(new URL(`../../../services/${service}/src/main.ts`, import.meta.url))

const open = new AsyncDisposableStack()
let fake: FakeIpinfo
let replica: ServiceProcess
let edge: ServiceProcess
let browser: Browser
let env: Readonly<Record<string, string>>
let page: Page

beforeAll(async () => {
  if (!hasChromium) return
  const keys = ['console-key-1', 'console-key-2']
  fake = await startFakeIpinfo({ keys: Object.fromEntries(keys.map((key) => [key, {}])) })
  open.defer(() => fake.close())
  const redis = await startTestRedis()
  open.defer(() => redis.stop())
  const common = { REDIS_URL: redis.url, REDIS_TIMEOUT_MS: '5000', DRAIN_MS: '0' }
  env = {
    ...common,
    IPINFO_BASE_URL: fake.url,
    IPINFO_KEYS: keys.join(','),
    ADMIN_TOKEN: adminToken,
    CONSOLE_READ_TOKEN: readToken,
    TRUST_PROXY: 'loopback',
  }
  replica = await startReplica(env)
  open.defer(async () => void (await replica.stop()))
  const bulk = await startService({
    entry: entryOf('bulk'),
    name: 'bulk',
    env: { ...common, PORT: '0', HOST: '127.0.0.1', LOG_FORMAT: 'json', LOOKUP_URL: replica.url },
  })
  open.defer(async () => void (await bulk.stop()))
  edge = await startEdge(replica.url, bulk.url)
  open.defer(async () => void (await edge.stop()))
  browser = await launchBrowser()
  open.defer(() => browser.close())
}, 120_000)
afterAll(() => open.disposeAsync())
afterEach(() => page?.context().close())

async function startEdge(lookups: string, jobs: string): Promise<ServiceProcess> {
  const folder = await temporaryFolder('console-edge')
  open.defer(() => folder.remove())
  const file = join(folder.path, 'proxy.toml')
  const toml = `
    [server]
    listen = "127.0.0.1:0"
    [upstreams]
    backends = ["${lookups}"]
    [groups.bulk]
    backends = ["${jobs}"]
    [[routes]]
    prefix = "/jobs"
    upstreams = "bulk"
    [console]
    enabled = true`
  await writeFile(file, toml)
  return startService({
    entry: entryOf('edge'),
    args: ['--config', file],
    name: 'edge',
    env: { ADMIN_TOKEN: adminToken, LOG_FORMAT: 'json', DRAIN_MS: '0', REDIS_URL: env['REDIS_URL'] ?? '' },
  })
}

async function opened(): Promise<Page> {
  page = await steadyPage(browser, { viewport: { width: 1280, height: 900 } })
  page.setDefaultTimeout(0)
  await page.goto(`${edge.url}/console`)
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
    const report = await fetch(new URL(link ?? '', edge.url))
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
    const { port } = replica
    await replica.stop()
    replica = await startReplica({ ...env, PORT: String(port), ADMIN_TOKEN: 'another-admin-token' })
    await page.getByLabel('Token', { exact: true }).waitFor()
    await logIn(adminToken)
    await page.getByRole('alert').filter({ hasText: 'neither ADMIN_TOKEN' }).waitFor()
    await logIn('another-admin-token')
    await page.getByText('Live', { exact: true }).waitFor()
  })
})
