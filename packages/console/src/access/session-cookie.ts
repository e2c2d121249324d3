import type { IncomingMessage } from 'node:http'
import { isTls } from './request-origin.ts'

const plainName = 'ipfleet-console'
/** Browsers take a name with this prefix only with Secure, `Path=/` and no Domain (RFC 6265bis §4.1.3.2). */
const prefix = '__Host-'

const nameFor = (req: IncomingMessage): string => (isTls(req) ? prefix : '') + plainName

/** The session's id that a request brings; undefined without one, and for what is none. */
export function sessionIdIn(req: IncomingMessage): string | undefined {
  const name = nameFor(req)
  for (const pair of (req.headers.cookie ?? '').split(';')) {
    const [, id] = pair.trim().startsWith(`${name}=`) ? pair.trim().split('=', 2) : []
    if (id !== undefined && /^[\w-]{43}$/.test(id)) return id
  }
  return undefined
}

/** @param maxAgeSeconds 0: the browser forgets it */
export function sessionCookie(req: IncomingMessage, id: string, maxAgeSeconds: number): string {
  const secure = isTls(req) ? '; Secure' : ''
  return `${nameFor(req)}=${id}; Path=/; Max-Age=${maxAgeSeconds}; HttpOnly; SameSite=Strict${secure}`
}
