import type { IncomingHttpHeaders } from 'node:http'
import type { Request } from 'express'
import { type Format, formats } from '@ipfleet/ip-lists/result-format.ts'
import { firstOf, oneOf, wholeNumber } from './query.ts'

export interface ResultRequest {
  readonly format: Format
  /** How many result lines the client has already. */
  readonly cursor: number
  /** Wait for what is not done yet. */
  readonly follows: boolean
  /** Whether a spreadsheet may open it. Only CSV differs by it. */
  readonly forSpreadsheets: boolean
}

/** @throws ProxyError `bad_request` */
export function resultRequestOf({ query, headers }: Request): ResultRequest {
  const format = oneOf('format', query['format'], formats) ?? 'ndjson'
  const spreadsheet = oneOf('spreadsheet', query['spreadsheet'], ['0', '1'])
  const isWanted = spreadsheet === undefined ? isBrowser(headers) : spreadsheet === '1'
  return {
    format,
    forSpreadsheets: format === 'csv' && isWanted,
    cursor: wholeNumber('cursor', query['cursor'], { default: 0 }),
    follows: ['1', 'true'].includes(firstOf(query['follow']) ?? ''),
  }
}

/**
 * Whether a browser downloads a file, which a spreadsheet may open. A page's script is a program (`Sec-Fetch-Dest:
 * empty`, W3C Fetch Metadata §2.1). Browsers send that field over HTTPS and to localhost only; without it they are
 * recognised by accepting HTML, which no HTTP library does by default.
 */
function isBrowser(headers: IncomingHttpHeaders): boolean {
  const destination = headers['sec-fetch-dest']
  if (destination !== undefined) return destination !== 'empty'
  return /\btext\/html\b/i.test(headers.accept ?? '')
}
