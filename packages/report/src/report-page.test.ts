import { expect, test } from '@jest/globals'
import { IpSummary } from '@ipfleet/ip-lists/ip-summary.ts'
import { reportHeaders, reportPage } from './report-page.ts'

const record = { country: 'US', city: 'Mountain View', org: 'AS15169 Google LLC', privacy: { hosting: true } }

const pageOf = (...records: readonly Readonly<Record<string, unknown>>[]): string => {
  const summary = new IpSummary()
  for (const [at, one] of records.entries()) summary.add(`8.8.8.${at}`, one)
  return reportPage({ summary: summary.toJSON(), about: 'Made by a test' })
}

const count = (of: string, what: RegExp): number => of.match(what)?.length ?? 0

test('the page says what the summary has, on a map and in tables', () => {
  const page = pageOf(record, record, { country: 'SG' }, { bogon: true })
  for (const part of [
    'Report of 4 addresses',
    '<title>United States: 2</title>',
    // Too small for a map of the world.
    /<circle class="s1" cx="\d+" cy="\d+" r="4"><title>Singapore: 1<\/title>/,
    'AS15169 Google LLC',
    /Hosting<\/td>[^]*?>50\.0 %/,
  ]) {
    expect(page).toMatch(part)
  }
})

test('a page without any record is a page', () => {
  expect(pageOf()).toContain('Report of 0 addresses')
})

test('what a list has much of has a row of its own, the rest one together', () => {
  const page = pageOf(...Array.from({ length: 50 }, (_, at) => ({ ...record, city: `City ${Math.min(at, 29)}` })))
  expect(page).toMatch(/City 29, US<[^]*>21<[^]*City 0, US<[^]*10 others/)
})

test('nothing is run, loaded or told to others, and only the page’s own style counts', async () => {
  const page = pageOf(record)
  const style = /<style>([^]*)<\/style>/.exec(page)?.[1] ?? ''
  const hash = Buffer.from(await crypto.subtle.digest('SHA-256', Buffer.from(style))).toString('base64')
  expect(reportHeaders['Content-Security-Policy']).toContain(`default-src 'none'; style-src 'sha256-${hash}'`)
  expect(reportHeaders).toMatchObject({
    'X-Robots-Tag': expect.stringContaining('noindex'),
    'Referrer-Policy': 'no-referrer',
  })
  expect(page).not.toMatch(/<script|<link|<img|<iframe|\son\w+=|\sstyle=|href=|src=|url\(|@import/i)
})

test.each([
  '<script>alert(1)</script>',
  '"><img src=x onerror=alert(1)>',
  '</title></style></table><svg onload=alert(1)>',
  "' onmouseover='alert(1)",
  '&lt;b&gt; & <b>',
  'javascript:alert(1)',
  '{{constructor.constructor("alert(1)")()}}',
  '<!--',
  ']]><x>',
  '\u0000<\u0000b>\u0007',
  '\u202Egnp.exe',
  '__proto__',
])('%j of upstream is text', (text) => {
  const fields = { country: text, region: text, city: text, org: `AS1 ${text}`, company: { name: text, type: text } }
  const page = pageOf({ ...fields, asn: { route: text, domain: text }, carrier: { name: text }, anycast: text })
  // All markup is that of a page with a harmless name in the same places.
  const harmless = pageOf({
    country: 'x',
    region: 'x',
    city: 'x',
    org: 'AS1 x',
    company: { name: 'x', type: 'x' },
    asn: { route: 'x', domain: 'x' },
    carrier: { name: 'x' },
  })
  for (const what of [/</g, />/g, /"/g, /'/g]) expect([what, count(page, what)]).toEqual([what, count(harmless, what)])
  // oxlint-disable-next-line no-control-regex -- these are meant
  expect(page).not.toMatch(/[\u0000-\u0008\u202a-\u202e]/)
})
