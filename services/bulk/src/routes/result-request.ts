import type { Request } from 'express'
import { type Format, formats } from '../results/result-format.ts'
import { firstOf, oneOf, wholeNumber } from './query.ts'

/** What the query of `GET /jobs/:id/results` asks for. */
export interface ResultRequest {
  readonly format: Format
  /** How many result lines the client has already. */
  readonly cursor: number
  /** Wait for what is not done yet. */
  readonly follows: boolean
}

/** @throws ProxyError `bad_request` */
export function resultRequestOf({ query }: Request): ResultRequest {
  return {
    format: oneOf('format', query['format'], formats) ?? 'ndjson',
    cursor: wholeNumber('cursor', query['cursor'], { usual: 0 }),
    follows: ['1', 'true'].includes(firstOf(query['follow']) ?? ''),
  }
}
