import { ProxyError } from '@ipfleet/core/proxy-error.ts'
import type { Request, Response } from 'express'
import type { PageFiles } from './page-files.ts'

/** @throws ProxyError `not_found` */
export function sendPageFile(files: PageFiles, req: Request, res: Response): void {
  const file = files.file(req.path)
  if (file === undefined) throw new ProxyError('not_found')
  const { contentType, body, gzipped, tag } = file
  res.set({ 'Cache-Control': 'no-cache', ETag: tag, Vary: 'Accept-Encoding' })
  if (req.headers['if-none-match'] === tag) return void res.status(304).end()
  const isGzipped = gzipped !== undefined && req.acceptsEncodings('gzip') === 'gzip'
  if (isGzipped) res.set('Content-Encoding', 'gzip')
  res.set('Content-Type', contentType).send(isGzipped ? gzipped : body)
}
