/** A request as a server reads it that allows nothing RFC 9112 does not. Latin-1 texts. */
export interface StrictRequest {
  readonly method: string
  readonly target: string
  /** As they stood, in their order. */
  readonly fields: readonly (readonly [name: string, value: string])[]
  readonly body: string
}

export interface StrictReading {
  readonly requests: readonly StrictRequest[]
  /** Why what follows the last request is none; undefined as long as it may become one. */
  readonly fault: string | undefined
  /** What follows the last request. */
  readonly rest: string
}

const requestLine = /^([A-Z]+) (\/[!-"$-~]*) HTTP\/1\.1$/
const fieldLine = /^([!#$%&'*+\-.^_`|~\w]+): ([!-~\x80-\xff](?:[\t -~\x80-\xff]*[!-~\x80-\xff])?)?$/

/**
 * Reads all that came over a connection, from its start. Independent of what it is to judge, and stricter than servers
 * are: what it takes is a request in one reading only, for every server.
 */
export function readStrictly(text: string): StrictReading {
  const requests: StrictRequest[] = []
  let rest = text
  for (;;) {
    const next = readOne(rest)
    if (next === undefined) return { requests, fault: undefined, rest }
    if (typeof next === 'string') return { requests, fault: next, rest }
    requests.push(next.request)
    rest = next.rest
  }
}

/** Undefined: more is to come. A text: why it is no request. */
function readOne(text: string): { request: StrictRequest; rest: string } | string | undefined {
  const end = text.indexOf('\r\n\r\n')
  if (end < 0) return undefined
  const [first = '', ...lines] = text.slice(0, end).split('\r\n')
  const [, method, target] = requestLine.exec(first) ?? []
  if (method === undefined || target === undefined) return `request line ${JSON.stringify(first)}`
  const fields: [string, string][] = []
  for (const line of lines) {
    const [, name, value = ''] = fieldLine.exec(line) ?? []
    if (name === undefined) return `field line ${JSON.stringify(line)}`
    fields.push([name, value])
  }
  const framing = framingOf(fields)
  if (typeof framing === 'string') return framing
  const body = framing.chunked ? chunkedBody(text, end + 4) : lengthBody(text, end + 4, framing.length)
  if (body === undefined || typeof body === 'string') return body
  return { request: { method, target, fields, body: body.bytes }, rest: text.slice(body.end) }
}

function framingOf(fields: StrictRequest['fields']): { chunked: boolean; length: number } | string {
  const values = (wanted: string): string[] =>
    fields.filter(([name]) => name.toLowerCase() === wanted).map(([, value]) => value)
  const [lengths, codings, hosts] = [values('content-length'), values('transfer-encoding'), values('host')]
  if (hosts.length !== 1) return `${hosts.length} Hosts`
  if (lengths.length + codings.length > 1) return 'framed more than once'
  const [length = '0'] = lengths
  if (!/^\d{1,15}$/.test(length)) return `Content-Length ${length}`
  const [coding] = codings
  if (coding !== undefined && coding !== 'chunked') return `Transfer-Encoding ${coding}`
  return { chunked: coding !== undefined, length: Number(length) }
}

type Body = { bytes: string; end: number } | string | undefined

function lengthBody(text: string, start: number, length: number): Body {
  return text.length < start + length ? undefined : { bytes: text.slice(start, start + length), end: start + length }
}

/** Chunks without extensions; what trailers hold is of no interest here. */
function chunkedBody(text: string, start: number): Body {
  let bytes = ''
  for (let at = start; ;) {
    const lineEnd = text.indexOf('\r\n', at)
    if (lineEnd < 0) return undefined
    const size = text.slice(at, lineEnd)
    if (!/^[\da-f]{1,12}$/i.test(size)) return `chunk size ${JSON.stringify(size)}`
    const length = Number.parseInt(size, 16)
    const dataEnd = lineEnd + 2 + length
    if (length === 0) {
      const trailersEnd = text.startsWith('\r\n', dataEnd) ? dataEnd - 2 : text.indexOf('\r\n\r\n', dataEnd)
      return trailersEnd < 0 ? undefined : { bytes, end: trailersEnd + 4 }
    }
    if (text.length < dataEnd + 2) return undefined
    if (text.slice(dataEnd, dataEnd + 2) !== '\r\n') return 'a chunk longer than its size'
    bytes += text.slice(lineEnd + 2, dataEnd)
    at = dataEnd + 2
  }
}
