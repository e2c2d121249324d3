import { createHash } from 'node:crypto'
import type { ListSummary } from '@ipfleet/ip-lists/ip-summary.ts'
import { markup, Markup } from './markup.ts'
import { reportStyle } from './report-style.ts'
import { countryName, worldMap } from './world-map.ts'

export interface Report {
  readonly summary: ListSummary
  /** Of what, and how far: the line below the title. */
  readonly about: string
  /** Rows of addresses; only for those who may read the list's results. */
  readonly addresses?: readonly ReportedAddress[] | undefined
}

export interface ReportedAddress {
  readonly address: string
  readonly country?: string | undefined
  readonly place?: string | undefined
  readonly network?: string | undefined
}

/** Rows of a table; the rest is one row more. */
const maxRows = 20
const tables = [
  ['Countries', 'countries'],
  ['Networks', 'asns'],
  ['Cities', 'cities'],
  ['Companies', 'companies'],
  ['Kinds of network', 'ipTypes'],
  ['Carriers', 'carriers'],
] as const satisfies readonly (readonly [title: string, group: keyof ListSummary])[]

const privacyNames: Readonly<Record<string, string>> = {
  vpn: 'VPN',
  proxy: 'Proxy',
  hosting: 'Hosting',
  relay: 'Relay',
  tor: 'Tor',
}

const style = new Markup(`<style>${reportStyle}</style>`)
const styleHash = createHash('sha256').update(reportStyle).digest('base64')

/** Of the page: nothing is loaded or run, no search engine keeps it, and no link or frame tells its address. */
export const reportHeaders: Readonly<Record<string, string>> = {
  'Content-Type': 'text/html; charset=utf-8',
  'Cache-Control': 'private, no-store',
  'Content-Security-Policy': `default-src 'none'; style-src 'sha256-${styleHash}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`,
  'Referrer-Policy': 'no-referrer',
  'X-Content-Type-Options': 'nosniff',
  'X-Robots-Tag': 'noindex, nofollow',
}

/** The summary of a list as a page that can be saved and printed: it needs no script, and loads nothing. */
export function reportPage({ summary, about, addresses }: Report): string {
  const { total, unique, bogon, anycast, mobile } = summary
  const facts = { Addresses: total, Different: unique, Reserved: bogon, Anycast: anycast, Mobile: mobile }
  return markup`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <meta name="robots" content="noindex, nofollow" />
        <meta name="referrer" content="no-referrer" />
        <title>Report of ${counted(total)} addresses</title>
        ${style}
      </head>
      <body>
        <main>
          <h1>Report of ${counted(total)} addresses</h1>
          <p>${about}</p>
          <dl>
            ${Object.entries(facts).map(
              ([name, count]) =>
                markup`<div>
                  <dt>${name}</dt>
                  <dd>${counted(count)}</dd>
                </div>`,
            )}
          </dl>
          ${worldMap(new Map(Object.entries(summary.countries)))}
          <div class="tables">
            ${tables.map(([title, group]) => table(title, named(group, summary[group]), total))}
            ${table('Privacy', namedPrivacy(summary.privacy), total)}
          </div>
          ${addresses === undefined ? markup`` : addressTable(addresses, total)}
        </main>
      </body>
    </html> `.text
}

function named(group: string, counts: Readonly<Record<string, number>>): readonly [string, number][] {
  const rows = Object.entries(counts).toSorted(([, one], [, other]) => other - one)
  return group === 'countries' ? rows.map(([code, count]) => [countryName(code), count]) : rows
}

const namedPrivacy = (counts: Readonly<Record<string, number>>): readonly [string, number][] =>
  Object.entries(counts).map(([kind, count]) => [privacyNames[kind] ?? kind, count])

function table(title: string, rows: readonly [string, number][], total: number): Markup {
  if (rows.length === 0) return markup``
  const rest = rows.slice(maxRows)
  const restRow: [string, number] = [`${counted(rest.length)} others`, rest.reduce((sum, [, count]) => sum + count, 0)]
  const shown = rest.length > 1 ? [...rows.slice(0, maxRows), restRow] : rows
  return markup`<section>
    <h2>${title}</h2>
    <table>
      <thead>
        <tr>
          <th class="name" scope="col">Name</th>
          <td class="bar"></td>
          <th class="count" scope="col">Count</th>
          <th class="share" scope="col">Share</th>
        </tr>
      </thead>
      <tbody>
        ${shown.map(([name, count]) => row(name, count, total))}
      </tbody>
    </table>
  </section> `
}

function row(name: string, count: number, total: number): Markup {
  const percent = total === 0 ? 0 : (100 * count) / total
  return markup`<tr>
    <td class="name">${name}</td>
    <td class="bar">
      <svg class="bar" viewBox="0 0 100 8" preserveAspectRatio="none" aria-hidden="true">
        <rect width="${percent.toFixed(2)}" height="8" />
      </svg>
    </td>
    <td class="count">${counted(count)}</td>
    <td class="share">${percent.toFixed(1)} %</td>
  </tr> `
}

function addressTable(addresses: readonly ReportedAddress[], total: number): Markup {
  return markup`<section>
    <h2>${addresses.length < total ? `The first ${counted(addresses.length)} addresses` : 'Addresses'}</h2>
    <table>
      <thead>
        <tr>
          <th scope="col">Address</th>
          <th scope="col">Country</th>
          <th scope="col">Place</th>
          <th scope="col">Network</th>
        </tr>
      </thead>
      <tbody>
        ${addresses.map(
          ({ address, country = '', place = '', network = '' }) =>
            markup`<tr>
              <td>${address}</td>
              <td>${countryName(country)}</td>
              <td>${place}</td>
              <td>${network}</td>
            </tr> `,
        )}
      </tbody>
    </table>
  </section> `
}

const counted = (count: number): string => count.toLocaleString('en')
