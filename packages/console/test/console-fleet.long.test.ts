import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals'
import { launchBrowser, steadyPage } from '@ipfleet/testing/browser.ts'
import { type FakeIpinfo, startFakeIpinfo } from '@ipfleet/testing/fake-ipinfo.ts'
import { isInstalled } from '@ipfleet/testing/is-installed.ts'
import { type ServiceProcess, startReplica } from '@ipfleet/testing/service-process.ts'
import { startTestRedis, type TestRedis } from '@ipfleet/testing/test-redis.ts'
import { until } from '@ipfleet/testing/until.ts'
import type { Browser, Page } from 'playwright-core'
import type { Overview } from '../src/contract.ts'

/** The page in front of replicas, their Redis and a fake IPinfo: what goes wrong is said, and when it is over (issue 19). */

jest.setTimeout(300_000)
const hasChromium = await isInstalled('chromium', 'the console of a fleet in trouble is not tested')

const tokens = ['console-key-1', 'console-key-2']
let fake: FakeIpinfo
let redis: TestRedis
let env: Readonly<Record<string, string>>
let one: ServiceProcess
let other: ServiceProcess
let browser: Browser
let page: Page

beforeAll(async () => {
  if (!hasChromium) return
  fake = await startFakeIpinfo({ keys: Object.fromEntries(tokens.map((token) => [token, {}])) })
  redis = await startTestRedis()
  env = {
    REDIS_URL: redis.url,
    REDIS_TIMEOUT_MS: '5000',
    DRAIN_MS: '0',
    IPINFO_BASE_URL: fake.url,
    IPINFO_KEYS: tokens.join(','),
  }
  ;[one, other] = await Promise.all([startReplica(env), startReplica(env)])
  browser = await launchBrowser()
  page = await steadyPage(browser)
  page.setDefaultTimeout(0)
  await page.goto(`${one.url}/console`)
}, 120_000)
afterAll(async () => {
  await browser?.close()
  for (const replica of [one, other]) await replica?.stop()
  await redis?.stop()
  await fake?.close()
})

const isRed = (sentence: string): Promise<void> =>
  page.locator('#verdict.red .sentence').filter({ hasText: sentence }).waitFor()
const isGreen = (): Promise<void> => page.locator('#verdict.green').filter({ hasText: 'All is well' }).waitFor()

/** Of what stands below the sentence: what to do first. */
const action = (): Promise<string> => page.locator('#verdict .action').innerText()

async function overviewOf({ url }: ServiceProcess): Promise<Overview> {
  const answer = await fetch(`${url}/console/api/overview`)
  return (await answer.json()) as Overview
}

/** Until no key is benched any more. */
async function releaseAll(): Promise<void> {
  for (let released = 0; released < tokens.length; released += 1) {
    await page
      .getByRole('button', { name: /^Release key/ })
      .first()
      .click()
    await page.getByText(/is back in the rotation/).waitFor()
  }
}

;(hasChromium ? describe : describe.skip)('the page of a fleet', () => {
  test('benches a key on all replicas, by Redis, and releases it', async () => {
    await isGreen()
    await page
      .getByRole('button', { name: /^Bench key/ })
      .first()
      .click()
    await page.getByRole('dialog').getByRole('button', { name: 'Bench' }).click()
    await page.getByText(/is benched on the whole fleet/).waitFor()
    // The other replica has it from Redis.
    await until(async () => (await overviewOf(other)).keys.some(({ reason }) => reason === 'operator'))
    await page.getByRole('button', { name: /^Release key/ }).click()
    await until(async () => (await overviewOf(other)).keys.every(({ state }) => state === 'active'))
  })

  test('is red in a storm of 429, and green again once the keys are back', async () => {
    fake.behave({ kind: '429-storm', retryAfterSeconds: 600 })
    await fetch(`${one.url}/9.9.9.9`)
    await isRed('All 2 keys are benched: upstream answers 429 (over its rate limit); the first is back at ')
    expect(await action()).toContain('add keys')
    fake.heal()
    await releaseAll()
    await isGreen()
  })

  test('is red when the quotas of all keys are used up, and green again once there is more', async () => {
    for (const token of tokens) fake.setKey(token, { monthlyQuota: 0, exhaustedWith: 402 })
    await fetch(`${one.url}/9.9.9.10`)
    await isRed('All 2 keys are benched: the quota is used up')
    expect(await action()).toContain('larger plan')
    for (const token of tokens) fake.setKey(token, {})
    await releaseAll()
    await isGreen()
  })

  test('is red when a replica has died, and green again once another one has taken its place', async () => {
    const { port } = other
    other.kill('SIGKILL')
    await other.exited
    await isRed(`:${port} has not been seen since `)
    expect(await action()).toContain('Start it again')
    other = await startReplica(env)
    await isGreen()
  })

  test('is red when Redis has stopped, and green again once it is back', async () => {
    await redis.kill()
    await isRed('Redis is away: each replica works for itself')
    expect(await action()).not.toBe('')
    await redis.restart()
    await isGreen()
  })
})
