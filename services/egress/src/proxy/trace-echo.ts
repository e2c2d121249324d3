import type { IncomingMessage } from 'node:http'

const secrets: ReadonlySet<string> = new Set(['authorization', 'proxy-authorization', 'cookie'])

/** A request as it came, for the one who traces it, without what is nobody else's business (RFC 9110 §9.3.8). */
export function traceEcho({ method = '', url = '', httpVersion, rawHeaders }: IncomingMessage): string {
  let lines = ''
  for (let index = 0; index + 1 < rawHeaders.length; index += 2) {
    const name = rawHeaders[index] ?? ''
    if (!secrets.has(name.toLowerCase())) lines += `${name}: ${rawHeaders[index + 1]}\r\n`
  }
  return `${method} ${url} HTTP/${httpVersion}\r\n${lines}\r\n`
}
