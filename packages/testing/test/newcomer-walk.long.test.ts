import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from '@jest/globals'
import { launchBrowser, steadyPage } from '../src/browser.ts'
import { isInstalled } from '../src/is-installed.ts'
import { followReadme } from '../src/readme-follower.ts'
import { checkoutObstacle, readmeCheckout } from '../src/readme-place.ts'
import { readmeSteps } from '../src/readme-steps.ts'
import { isPortFree } from '../src/service-process-port.ts'
import { until } from '../src/until.ts'

/** Who has cloned the repository follows the first quick start, to an address on the console's map (issue 19). */

const repository = fileURLToPath(new URL('../../..', import.meta.url))
const hasChromium = await isInstalled('chromium', 'the walk of a newcomer is not tested')
const obstacle = await checkoutObstacle(repository)
if (obstacle !== undefined) process.stderr.write(`newcomer-walk.long.test.ts is skipped: ${obstacle}\n`)

const readme = readFileSync(`${repository}/README.md`, 'utf8')
const quickStart = /### 1\. Try it\n[^]*?<!-- Ctrl-C -->/.exec(readme)?.[0] ?? ''

test('the first quick start takes five commands at most', () => {
  const scripts = readmeSteps(quickStart).flatMap((step) => ('script' in step ? step.script.trim().split('\n') : []))
  expect(scripts[0]).toBe('npm start')
  expect(scripts.length).toBeLessThanOrEqual(5)
})

;(hasChromium && obstacle === undefined ? describe : describe.skip)('the first quick start', () => {
  test('leads to a looked-up address on the map', async () => {
    await until(() => isPortFree(8080), 60_000)
    const checkout = await readmeCheckout(repository)
    try {
      await followReadme('README.md', quickStart, {
        ...checkout,
        obstacle: () => undefined,
        print: (line) => process.stderr.write(`${line}\n`),
        timeoutMs: () => 180_000,
        beforeStop: lookAtTheMap,
      })
    } finally {
      await checkout.remove()
    }
  })
})

/** At the address that the quick start names. */
async function lookAtTheMap(): Promise<void> {
  const [, url = ''] = /<(http:\/\/localhost:8080\/console)>/.exec(quickStart) ?? []
  const browser = await launchBrowser()
  try {
    const page = await steadyPage(browser)
    page.setDefaultTimeout(180_000)
    await page.goto(url)
    await page.locator('#verdict.green').waitFor()
    await page.getByLabel('Address or AS number').fill('8.8.8.8')
    await page.getByRole('button', { name: 'Look up' }).click()
    await page.getByRole('img', { name: 'World map with a mark at United States' }).waitFor()
    expect(await page.locator('#address .land.here').count()).toBe(1)
  } finally {
    await browser.close()
  }
}
