/** `npm run screenshots`: pictures of the console for the README, of a fleet that is made up. */

import { fileURLToPath } from 'node:url'
import { launchBrowser } from '@ipfleet/testing/browser.ts'
import type { Overview } from '../src/contract.ts'
import { bigFleet } from './big-fleet.ts'
import { FakeConsole } from './fake-console.ts'

const folder = fileURLToPath(new URL('../../../.github/', import.meta.url))
const desk = { viewport: { width: 1280, height: 1120 } }
const pictures = [
  ['console-light', { ...desk, colorScheme: 'light' }],
  ['console-dark', { ...desk, colorScheme: 'dark' }],
  ['console-phone', { viewport: { width: 360, height: 740 }, colorScheme: 'light' }],
] as const

using fake = await FakeConsole.start({ overview: demoFleet })
const browser = await launchBrowser()
try {
  for (const [name, options] of pictures) {
    const page = await browser.newPage(options)
    page.setDefaultTimeout(0)
    await page.goto(fake.url)
    await page.getByText('Live', { exact: true }).waitFor()
    await page.locator('#fleet tbody tr').first().waitFor()
    await page.screenshot({ path: `${folder}${name}.png` })
    await page.close()
    process.stdout.write(`.github/${name}.png\n`)
  }
} finally {
  await browser.close()
}

function demoFleet(): Overview {
  const fleet = bigFleet(1, { keys: 6, replicas: 4 })
  const { saved, upstream } = fleet.flow.totals
  const money = { saved: saved * 0.001, spent: upstream * 0.001, currency: 'USD' }
  return {
    ...fleet,
    verdict: { state: 'green', sentence: 'All is well: 5 of 6 keys ready, 4 replicas', others: [] },
    flow: { ...fleet.flow, money },
    keys: fleet.keys.map(({ emptyOn = '', ...key }, index) => {
      const used = 6200 + ((index * 17_311) % 41_000)
      return { ...key, used, share: key.share > 0 ? 0.2 : 0, ...(used > 30_000 && { emptyOn }) }
    }),
  }
}
