import type { Request } from 'express'
import { type Format, formats } from '../results/result-format.ts'
import { isBrowser } from './is-browser.ts'
import { firstOf, oneOf, wholeNumber } from './query.ts'

/** What the query of `GET /jobs/:id/results` asks for. */
export interface ResultRequest {
  readonly format: Format
  /** How many result lines the client has already. */
  readonly cursor: number
  /** Wait for what is not done yet. */
  readonly follows: boolean
  /** Whether a spreadsheet may open it. Nothing but CSV differs by it. */
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
    cursor: wholeNumber('cursor', query['cursor'], { usual: 0 }),
    follows: ['1', 'true'].includes(firstOf(query['follow']) ?? ''),
  }
}
