export interface Flood {
  readonly connections: number
  /** What each of them sends. */
  readonly bytes: string
  /** Whether it sends that again with each part of an answer. */
  readonly again: boolean
}

const head = (line: string, ...fields: readonly string[]): string =>
  [`${line} HTTP/1.1`, 'Host: a', ...fields, '', ''].join('\r\n')
const manyFields = Array.from({ length: 40 }, (_, index) => `X-Field-${index}: ${'v'.repeat(90)}`)

/** What one client may try, by name. */
export const floods: Readonly<Record<string, Flood>> = {
  'unfinished bodies': { connections: 300, bytes: `${head('POST /', 'Content-Length: 1000')}x`, again: false },
  'large unfinished bodies': {
    connections: 300,
    bytes: head('POST /', 'Content-Length: 1000000') + 'x'.repeat(100_000),
    again: false,
  },
  followers: { connections: 300, bytes: head('GET /events'), again: false },
  'pipelined requests': { connections: 10, bytes: head('GET /').repeat(100), again: false },
  'requests with 4 KB of fields': { connections: 100, bytes: head('GET /', ...manyFields), again: true },
}
