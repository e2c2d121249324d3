import { createHash, timingSafeEqual } from 'node:crypto'
import type { NextFunction, Request, Response } from 'express'
import { ProxyError } from '@ipfleet/core/proxy-error.ts'

/**
 * Lets through clients that may change something: those with the token, or, where none is configured, those that speak from
 * this machine and not through a proxy.
 */
export function adminGuard(token: string | undefined) {
  return (req: Request, res: Response, next: NextFunction): void => {
    if (token === undefined) {
      if (!isLocal(req)) throw new ProxyError('forbidden', { message: 'Set ADMIN_TOKEN to do this from elsewhere' })
    } else if (!isBearer(req, token)) {
      res.setHeader('WWW-Authenticate', 'Bearer')
      throw new ProxyError('unauthorized')
    }
    next()
  }
}

const forwarding = ['forwarded', 'x-forwarded-for', 'x-real-ip', 'via']

function isLocal({ socket, headers }: Request): boolean {
  const peer = socket.remoteAddress ?? ''
  const isLoopback = peer === '::1' || /^(::ffff:)?127\./.test(peer)
  return isLoopback && forwarding.every((name) => headers[name] === undefined)
}

function isBearer({ headers }: Request, token: string): boolean {
  const given = /^Bearer +(\S+)$/i.exec(headers.authorization ?? '')?.[1] ?? ''
  // Hashes have the same length, so the comparison takes the same time for every guess.
  return timingSafeEqual(sha256(given), sha256(token))
}

const sha256 = (text: string): Buffer => createHash('sha256').update(text).digest()
