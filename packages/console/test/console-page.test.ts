import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals'
import { accessibilityFindings, launchBrowser, steadyPage } from '@ipfleet/testing/browser.ts'
import { isInstalled } from '@ipfleet/testing/is-installed.ts'
import { until } from '@ipfleet/testing/until.ts'
import type { IncomingMessage, ServerResponse } from 'node:http'
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

function fleetWithBulk(): Overview {
  const fleet = smallFleet()
  const bulk = fleet.replicas.slice(0, 1).map((row) => ({ ...row, id: 'bulk-1', service: 'bulk' as const }))
  return { ...fleet, replicas: [...fleet.replicas, ...bulk] }
}

let browser: Browser
beforeAll(async () => {
  if (hasChromium) browser = await launchBrowser()
})
afterAll(() => browser?.close())

/** Runs `act` with the page of a console with this data. */
async function withPage(
  { script, ...options }: FakeConsoleOptions & { readonly script?: string },
  act: (page: Page, fake: FakeConsole) => Promise<void>,
): Promise<void> {
  using fake = await FakeConsole.start(options)
  const page = await steadyPage(browser, { viewport: { width: 1280, height: 900 } })
  // The time of the test alone bounds what it waits for.
  page.setDefaultTimeout(0)
  if (script !== undefined) await page.addInitScript(script)
  await page.goto(fake.url)
  await page.getByText('Live', { exact: true }).waitFor()
  // One part is drawn after the other.
  for (const part of ['#keys', '#fleet']) await page.locator(`${part} tbody tr`).first().waitFor()
  await act(page, fake)
  await page.close()
}

async function lookUp(page: Page, query: string): Promise<void> {
  await page.getByLabel('Address or AS number').fill(query)
  await page.getByRole('button', { name: 'Look up' }).click()
  await page.locator('#address .map').waitFor()
}

/** A bulk service with these jobs, which follow one another in nothing but what is told of them here. */
class FakeJobs {
  readonly jobs: object[] = []
  readonly created: IncomingMessage[] = []
  readonly streams = new Set<ServerResponse>()

  add(id: string, state: string): void {
    const lines = { total: 10, done: 5, answered: 5, errors: 0 }
    this.jobs.push({ id, state, created: new Date().toISOString(), lines })
  }

  readonly answer = (request: IncomingMessage, response: ServerResponse): void => {
    const { method = '', url = '' } = request
    const id = /^\/jobs\/(\w+)/.exec(url)?.[1]
    const found = this.jobs.find((job) => 'id' in job && job.id === id)
    if (id !== undefined && found === undefined) return void response.writeHead(404).end()
    if (url.endsWith('/events')) return this.#stream(response)
    if (method === 'POST') return this.#create(request, response)
    if (method === 'DELETE') this.jobs.splice(this.jobs.indexOf(found ?? {}), 1)
    response.end(JSON.stringify(method === 'DELETE' ? {} : { jobs: this.jobs }))
  }

  #stream(response: ServerResponse): void {
    response.writeHead(200, { 'Content-Type': 'text/event-stream' }).flushHeaders()
    this.streams.add(response)
    response.once('close', () => this.streams.delete(response))
  }

  #create(request: IncomingMessage, response: ServerResponse): void {
    this.created.push(request)
    const isRefused = request.headers['content-type'] === 'text/csv'
    if (isRefused) return void response.writeHead(400).end(JSON.stringify({ error: 'No column has addresses' }))
    this.add(`j${this.created.length}`, 'completed')
    response.end(JSON.stringify(this.jobs.at(-1)))
  }
}

const anHourLater = (iso: string): string => new Date(Date.parse(iso) + 3_600_000).toISOString()

function fleetAnHourAhead(): Overview {
  const fleet = smallFleet()
  const keys = fleet.keys.map((key) => ({ ...key, ...(key.until !== undefined && { until: anHourLater(key.until) }) }))
  return { ...fleet, at: anHourLater(fleet.at), keys }
}

function fleetWithLongNames(): Overview {
  const fleet = smallFleet()
  return { ...fleet, replicas: fleet.replicas.map((row) => ({ ...row, id: `${row.id}-${'long'.repeat(60)}` })) }
}

/** What the tab says of itself: a browser without a window hides none. */
const setHidden = (page: Page, isHidden: boolean): Promise<unknown> =>
  page.evaluate(`Object.defineProperty(document, 'hidden', { value: ${isHidden}, configurable: true })
    document.dispatchEvent(new Event('visibilitychange'))`)

const listFile = (name: string): { name: string; mimeType: string; buffer: Buffer } => ({
  name,
  mimeType: 'text/plain',
  buffer: Buffer.from('8.8.8.8'),
})

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

  test('has a reference that is accessible, also in the dark and on a phone', async () => {
    using fake = await FakeConsole.start({ overview: smallFleet })
    const page = await steadyPage(browser, { colorScheme: 'dark', viewport: { width: 360, height: 800 } })
    const missing: string[] = []
    page.on('response', (response) => void (response.ok() || missing.push(response.url())))
    await page.goto(`${fake.url}/reference`)
    expect(await accessibilityFindings(page)).toEqual([])
    expect(missing).toEqual([])
    await page.close()
  })

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

  test('benches by the keyboard, which keeps its place as the row moves and its button becomes another', async () => {
    const fleet = bigFleet(0, { keys: 4, replicas: 2 })
    const last = fleet.keys[3]
    if (last === undefined) throw new Error('no key')
    const { id } = last
    const changed = { ...last, state: 'cooling', reason: 'operator' } as const
    const seen: { fake?: FakeConsole } = {}
    const overview = (): Overview =>
      seen.fake?.changes.length === 1 ? { ...fleet, keys: [...fleet.keys.slice(0, 3), changed] } : fleet
    await withPage({ overview, changed }, async (page, fake) => {
      seen.fake = fake
      await page.getByRole('button', { name: `Bench key ${id}` }).press('Enter')
      await page.getByRole('dialog').getByRole('button', { name: 'Bench' }).press('Enter')
      await page
        .locator('#keys tbody tr')
        .nth(1)
        .getByRole('button', { name: `Release key ${id}` })
        .waitFor()
      await until(async () => (await page.evaluate(`document.activeElement.textContent`)) === 'Release')
    })
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

  test('says in red at its start that the server fails, and goes on once it does not', () =>
    withPage({ overview: smallFleet }, async (page, fake) => {
      fake.refuses = true
      await page.goto(fake.url)
      await page.getByText('The server answered 503').waitFor()
      expect(await page.evaluate(`getComputedStyle(document.getElementById('live'), '::before').content`)).toContain(
        '▲',
      )
      fake.refuses = false
      await page.getByText('Live', { exact: true }).waitFor()
    }))

  test('does not go on to say that all is well when it does not know', () =>
    withPage({ overview: smallFleet }, async (page, fake) => {
      await until(async () => (await page.title()) === 'OK · ipfleet')
      await setHidden(page, true)
      expect(await page.title()).toBe('ipfleet')
      await setHidden(page, false)
      await until(async () => (await page.title()) === 'OK · ipfleet')
      fake.refuses = true
      fake.breakStreams()
      await page
        .locator('#verdict')
        .getByText(/^As last seen at \d\d:\d\d:\d\d$/)
        .waitFor()
      expect(await page.title()).toBe('Stale · ipfleet')
      expect(await accessibilityFindings(page)).toEqual([])
    }))

  test('opens in a browser that keeps nothing for it', () => {
    const script = `for (const name of ['localStorage', 'sessionStorage'])
      Object.defineProperty(window, name, { get() { throw new DOMException('Access is denied', 'SecurityError') } })`
    return withPage({ overview: fleetWithBulk, jobs: new FakeJobs().answer, script }, async (page) => {
      await page.getByText('No jobs yet.').waitFor()
      await page.getByRole('button', { name: 'Dark' }).click()
      await page.getByRole('button', { name: 'Light' }).waitFor()
    })
  })

  test('shows all rows although new ones come faster than they are drawn', () => {
    let turn = 0
    return withPage({ overview: () => bigFleet((turn += 1), { keys: 600 }), intervalMs: 100 }, async (page) => {
      await page.getByRole('button', { name: 'Show all 600' }).click()
      await page.locator('#keys tbody tr').nth(599).waitFor()
    })
  })

  test('counts down by the clock of the fleet, whatever that of the browser says', async () => {
    await withPage({ overview: fleetAnHourAhead }, async (page) => {
      expect(await page.locator('#keys time').first().innerText()).toMatch(/^1 min \d+ s$/)
    })
  })

  test('keeps short columns whole beside long names', () => {
    return withPage({ overview: fleetWithLongNames }, async (page) => {
      const lines = await page.evaluate(`['Service', 'Up for'].map((title) => {
        const range = document.createRange()
        range.selectNodeContents(document.querySelector('#fleet td[data-title="' + title + '"]'))
        return range.getClientRects().length
      })`)
      expect(lines).toEqual([1, 1])
      expect(await page.evaluate('document.documentElement.scrollWidth')).toBe(1280)
    })
  })

  test('hands a list over to a page that came by plain HTTP, and tells of each list what is wrong with it', async () => {
    const jobs = new FakeJobs()
    // What a browser leaves out where the page is no secure context.
    const script = `delete Crypto.prototype.randomUUID`
    await withPage({ overview: fleetWithBulk, jobs: jobs.answer, script }, async (page) => {
      await page.locator('#list').setInputFiles(listFile('bad.csv'))
      await page.getByText('No column has addresses').waitFor()
      jobs.add('another', 'completed')
      await setHidden(page, false)
      await page.locator('#jobs tbody tr').filter({ hasText: 'another' }).waitFor()
      await page.getByText('No column has addresses').waitFor()
      await page.locator('#list').setInputFiles(listFile('good.txt'))
      await page.locator('#jobs tbody tr').filter({ hasText: 'good.txt' }).waitFor()
      expect(new Set(jobs.created.map(({ headers }) => headers['idempotency-key'])).size).toBe(2)
    })
  })

  test('follows a job while it is seen, and until the job is no more', async () => {
    const jobs = new FakeJobs()
    jobs.add('one', 'running')
    await withPage({ overview: fleetWithBulk, jobs: jobs.answer }, async (page) => {
      await until(() => jobs.streams.size === 1)
      await setHidden(page, true)
      await until(() => jobs.streams.size === 0)
      jobs.add('two', 'running')
      await setHidden(page, false)
      await until(() => jobs.streams.size === 2)
      jobs.jobs.length = 0
      for (const stream of jobs.streams) stream.destroy()
      await page.getByText('No jobs yet.').waitFor()
    })
  })

  test('shows jobs once a bulk service has come, and goes on when it is away for a while', async () => {
    const jobs = new FakeJobs()
    jobs.add('one', 'completed')
    let overview = smallFleet
    await withPage({ overview: () => overview(), jobs: jobs.answer, intervalMs: 100 }, async (page) => {
      await page.getByText(/^No bulk service is reached/).waitFor()
      overview = fleetWithBulk
      await page.locator('#jobs tbody tr').filter({ hasText: 'one' }).waitFor()
      expect(await page.getByText(/^No bulk service is reached/).count()).toBe(0)
      overview = smallFleet
      await page.locator('#fleet tbody tr').filter({ hasText: 'bulk-1' }).waitFor({ state: 'detached' })
      await page.locator('#jobs tbody tr').filter({ hasText: 'one' }).waitFor()
    })
  })

  test('removes a job with its results once that is confirmed', async () => {
    const jobs = new FakeJobs()
    jobs.add('one', 'completed')
    await withPage({ overview: fleetWithBulk, jobs: jobs.answer }, async (page) => {
      const remove = page.locator('#jobs').getByRole('button', { name: /^Remove/ })
      await remove.click()
      await page.getByRole('dialog').getByRole('button', { name: 'Cancel' }).click()
      expect(jobs.jobs).toHaveLength(1)
      await remove.click()
      await page.getByRole('dialog').getByRole('button', { name: 'Remove' }).click()
      await page.getByText('No jobs yet.').waitFor()
      expect(jobs.jobs).toEqual([])
      // The keyboard goes on from there, and not from the top of the page.
      await until(async () => (await page.evaluate(`document.activeElement.textContent`)) === 'one is removed.')
    })
  })
})
