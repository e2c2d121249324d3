import { launchBrowser } from '@ipfleet/testing/browser.ts'
import { until } from '@ipfleet/testing/until.ts'
import { bigFleet } from './big-fleet.ts'
import { FakeConsole } from './fake-console.ts'
const t0 = performance.now()
const say = (m: string) => console.log(Math.round(performance.now() - t0), m)
const browser = await launchBrowser()
let turn = 0
using fake = await FakeConsole.start({ overview: () => bigFleet((turn += 1)) })
const page = await browser.newPage({ viewport: { width: 1280, height: 900 } })
await browser.startTracing(page, { categories: ['toplevel', 'disabled-by-default-devtools.timeline'] })
say('tracing')
await page.goto(fake.url)
for (const name of ['Show all 200', 'Show all 30']) { await page.getByRole('button', { name }).first().click(); say(name) }
await page.locator('#keys tbody tr').nth(199).waitFor()
say('rows')
await until(() => turn >= 30, 120_000)
say('turns')
const b = await browser.stopTracing()
say('stopped ' + b.length)
const trace = JSON.parse(String(b)) as any
const ev = trace.traceEvents
const pid = ev.find(({ name, args }: any) => name === 'EvaluateScript' && args?.data?.url?.endsWith('page.ts') === true)?.pid
const own = ev.filter((e: any) => e.name.endsWith('RunTask') && e.pid === pid)
own.sort((a: any, b: any) => (b.tdur ?? 0) - (a.tdur ?? 0))
say(own.length + ' tasks; longest ' + own.slice(0, 8).map((e: any) => Math.round((e.tdur ?? 0) / 1000) + '/' + Math.round((e.dur ?? 0) / 1000)).join(' '))
await browser.close()
