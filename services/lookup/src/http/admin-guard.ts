import { createHash, timingSafeEqual } from 'node:crypto'
import type { NextFunction, Request, Response } from 'express'
import { isCrossSite, isDirectLoopback } from '@ipfleet/console/access/request-origin.ts'
import { ProxyError } from '@ipfleet/core/proxy-error.ts'

/**
 * Lets through clients that may change something: those with the token, or, where none is configured, those that speak from
 * this machine, not through a proxy and not for a page of another site.
 */
export function adminGuard(token: string | undefined) {
  return (req: Request, res: Response, next: NextFunction): void => {
    if (token === undefined) {
      if (!isDirectLoopback(req) || isCrossSite(req))
        throw new ProxyError('forbidden', { message: 'Set ADMIN_TOKEN to do this from elsewhere' })
    } else if (!isBearer(req, token)) {
      res.setHeader('WWW-Authenticate', 'Bearer')
      throw new ProxyError('unauthorized')
    }
    next()
  }
}

function isBearer({ headers }: Request, token: string): boolean {
  const given = /^Bearer +(\S+)$/i.exec(headers.authorization ?? '')?.[1] ?? ''
  // Hashes have the same length, so the comparison takes the same time for every guess.
  return timingSafeEqual(sha256(given), sha256(token))
}

const sha256 = (text: string): Buffer => createHash('sha256').update(text).digest()
