import { describe, expect, jest, test } from '@jest/globals'
import { launchBrowser, steadyPage } from '@ipfleet/testing/browser.ts'
import { startFakeIpinfo } from '@ipfleet/testing/fake-ipinfo.ts'
import { isInstalled } from '@ipfleet/testing/is-installed.ts'
import { startReplica } from '@ipfleet/testing/service-process.ts'
import { startTestRedis } from '@ipfleet/testing/test-redis.ts'
import { until } from '@ipfleet/testing/until.ts'
import type { Overview } from '../src/contract.ts'

/** The page in front of replicas, their Redis and a fake IPinfo. */

jest.setTimeout(300_000)
const hasChromium = await isInstalled('chromium', 'the console of a fleet is not tested')

;(hasChromium ? describe : describe.skip)('the page of a fleet in trouble', () => {
  test('says which, and when it is over', async () => {
    const keys = ['console-key-1', 'console-key-2']
    const fake = await startFakeIpinfo({ keys: Object.fromEntries(keys.map((key) => [key, {}])) })
    const redis = await startTestRedis()
    const env = {
      REDIS_URL: redis.url,
      REDIS_TIMEOUT_MS: '5000',
      IPINFO_BASE_URL: fake.url,
      IPINFO_KEYS: keys.join(','),
    }
    const [one, other] = [await startReplica(env), await startReplica(env)]
    const browser = await launchBrowser()
    try {
      const page = await steadyPage(browser)
      page.setDefaultTimeout(0)
      await page.goto(`${one.url}/console`)
      await page.getByText(/All is well/).waitFor()

      await page
        .getByRole('button', { name: /^Bench key/ })
        .first()
        .click()
      await page.getByRole('dialog').getByRole('button', { name: 'Bench' }).click()
      await page.getByText(/is benched on the whole fleet/).waitFor()
      // The other replica has it from Redis.
      await until(async () => (await overviewOf(other.url)).keys.some(({ reason }) => reason === 'operator'))
      await page.getByRole('button', { name: /^Release key/ }).click()
      await until(async () => (await overviewOf(other.url)).keys.every(({ state }) => state === 'active'))

      fake.behave({ kind: '429-storm', retryAfterSeconds: 600 })
      await fetch(`${one.url}/9.9.9.9`)
      const sentence = page.locator('#verdict.red .sentence')
      await sentence.filter({ hasText: 'All 2 keys are benched' }).waitFor()
      fake.heal()
      for (let released = 0; released < keys.length; released += 1) {
        await page
          .getByRole('button', { name: /^Release key/ })
          .first()
          .click()
        await page.getByText(/is back in the rotation/).waitFor()
      }
      await page.locator('#verdict.green').waitFor()

      await redis.stop()
      await sentence.filter({ hasText: 'Redis is away' }).waitFor()
      expect(await page.locator('#verdict .action').innerText()).not.toBe('')
    } finally {
      await browser.close()
      for (const replica of [one, other]) await replica.stop()
      await redis.stop()
      await fake.close()
    }
  })
})

async function overviewOf(url: string): Promise<Overview> {
  const answer = await fetch(`${url}/console/api/overview`)
  return (await answer.json()) as Overview
}
