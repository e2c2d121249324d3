import { createHash, createHmac, randomBytes, timingSafeEqual } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { ProxyError } from '@ipfleet/core/proxy-error.ts'
import type { Role } from '../contract.ts'
import { isCrossSite, isDirectLoopback, isOwnOrigin } from './request-origin.ts'
import { sessionCookie, sessionIdIn } from './session-cookie.ts'
import { sessionLifeMs, type SessionStore } from './session-store.ts'

/** A user who was let in. */
export interface Visitor {
  readonly role: Role
  readonly by: 'loopback' | 'token'
  /** What writes have to bring in `X-CSRF-Token`. */
  readonly csrf: string
  /** The session: what streams are counted by. */
  readonly session: string
}

export interface VisitorsDeps {
  readonly adminToken: string | undefined
  readonly readToken: string | undefined
  readonly sessions: SessionStore
  readonly epochMs: () => number
}

/** Who gets into the console, and what they may do there. */
export class Visitors {
  readonly #deps: VisitorsDeps
  readonly #tokens: readonly { readonly role: Role; readonly token: string }[]
  readonly #loopback: Visitor = { role: 'admin', by: 'loopback', csrf: randomId(), session: 'loopback' }

  constructor(deps: VisitorsDeps) {
    this.#deps = deps
    this.#tokens = [
      { role: 'admin' as const, token: deps.adminToken },
      { role: 'read' as const, token: deps.readToken },
    ].flatMap(({ role, token }) => (token === undefined ? [] : [{ role, token }]))
  }

  /**
   * Undefined: not let in. As elsewhere, ADMIN_TOKEN is asked of this machine too, once it is set.
   * @param isUse false for what goes on by itself: it does not begin the idle time anew
   * @throws ProxyError `forbidden` for what another site's page has sent
   */
  async of(req: IncomingMessage, isUse = true): Promise<Visitor | undefined> {
    if (isCrossSite(req)) throw new ProxyError('forbidden', { message: 'The console answers its own page only' })
    const id = sessionIdIn(req)
    const session = id === undefined ? undefined : await this.#deps.sessions.find(id, isUse)
    const proven = this.#tokens.find(
      ({ token }) => session !== undefined && id && equal(session.proof, proof(token, id)),
    )
    if (proven && id) return { role: proven.role, by: 'token', csrf: proof(id, 'csrf'), session: proof(id, 'streams') }
    return this.#deps.adminToken === undefined && isDirectLoopback(req) ? this.#loopback : undefined
  }

  /** Sets the cookie of a new session. @returns whether the token is one of ours */
  async logIn(req: IncomingMessage, res: ServerResponse, given: string): Promise<boolean> {
    // All of them, so that the time taken does not tell which one was near.
    let known: { readonly token: string } | undefined
    for (const one of this.#tokens) if (equal(given, one.token)) known ??= one
    if (!known) return false
    const before = sessionIdIn(req)
    if (before !== undefined) await this.#deps.sessions.remove(before)
    const id = randomId()
    await this.#deps.sessions.save(id, { proof: proof(known.token, id), createdMs: this.#deps.epochMs() })
    res.setHeader('Set-Cookie', sessionCookie(req, id, sessionLifeMs / 1000))
    return true
  }

  /** @param isLoggedIn if not, only the cookie goes: what anyone may send is not kept as an ended session */
  async logOut(req: IncomingMessage, res: ServerResponse, isLoggedIn: boolean): Promise<void> {
    const id = sessionIdIn(req)
    if (isLoggedIn && id !== undefined) await this.#deps.sessions.remove(id)
    res.setHeader('Set-Cookie', sessionCookie(req, '', 0))
  }
}

/** @throws ProxyError `forbidden` unless the page itself has sent it, for a user who may change something */
export function requireWriter(req: IncomingMessage, { role, csrf }: Visitor): void {
  if (role !== 'admin')
    throw new ProxyError('forbidden', { message: 'This session may look only: log in with ADMIN_TOKEN' })
  requireOwnPage(req, csrf)
}

/** @throws ProxyError `forbidden` for what may be forged: without a matching Origin or CSRF token */
export function requireOwnPage(req: IncomingMessage, csrf: string): void {
  if (!isOwnOrigin(req)) {
    throw new ProxyError('forbidden', {
      message: 'Origin is not this console; a proxy in front has to pass on Host, or X-Forwarded-Host and -Proto',
    })
  }
  if (!equal(String(req.headers['x-csrf-token']), csrf)) {
    throw new ProxyError('forbidden', {
      message: 'X-CSRF-Token is not that of /console/api/session; load the page again',
    })
  }
}

/** 256 bits. */
const randomId = (): string => randomBytes(32).toString('base64url')
const proof = (key: string, text: string): string => createHmac('sha256', key).update(text).digest('base64url')
const sha256 = (text: string): Buffer => createHash('sha256').update(text).digest()
/** Hashes have the same length, so that the comparison takes the same time for every guess. */
const equal = (one: string, other: string): boolean => timingSafeEqual(sha256(one), sha256(other))
