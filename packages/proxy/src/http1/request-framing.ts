import type { UpstreamRequest } from './exchange-types.ts'
import { linesOf, type RawFields } from './raw-fields.ts'
import { allowedTrailers } from './trailers.ts'

/**
 * What a request says for this hop only, and the end of its head. One that asks to switch protocols never says that
 * the connection ends with it, whatever `closes`: servers take that for a refusal to switch.
 */
export function framingLines({ body, upgrade, takesTrailers }: UpstreamRequest, closes: boolean): string {
  if (body === 'none' && upgrade === undefined && takesTrailers !== true && !closes) return '\r\n'
  let lines = ''
  if (body === 'chunked') lines += 'Transfer-Encoding: chunked\r\n'
  else if (body !== 'none') lines += `Content-Length: ${body}\r\n`
  const options = upgrade === undefined ? (closes ? ['close'] : []) : ['Upgrade']
  if (takesTrailers === true) options.push('TE')
  if (options.length > 0) lines += `Connection: ${options.join(', ')}\r\n`
  if (upgrade !== undefined) lines += `Upgrade: ${upgrade}\r\n`
  if (takesTrailers === true) lines += 'TE: trailers\r\n'
  return `${lines}\r\n`
}

export function lastChunk(trailers: RawFields): string {
  return `0\r\n${linesOf(allowedTrailers(trailers))}\r\n`
}
