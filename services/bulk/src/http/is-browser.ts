import type { IncomingHttpHeaders } from 'node:http'

/**
 * Whether a person's browser asks for a file, and a spreadsheet may open it. What a page's script fetches is a program's
 * (`Sec-Fetch-Dest: empty`, W3C Fetch Metadata §2.1). Browsers send that field over HTTPS and to localhost only; without
 * it they are known by taking HTML, which no HTTP library does unasked.
 */
export function isBrowser(headers: IncomingHttpHeaders): boolean {
  const destination = headers['sec-fetch-dest']
  if (destination !== undefined) return destination !== 'empty'
  return /\btext\/html\b/i.test(headers.accept ?? '')
}
