import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { Router } from 'express'
import { parse } from 'yaml'
import { type Description, referencePage } from './reference-page.ts'

const file = fileURLToPath(new URL('../openapi.yaml', import.meta.url))

export const readReference = (): string => referencePage(parse(readFileSync(file, 'utf8')) as Description)

/** The description of the fleet's endpoints, and its reader. They say nothing of this fleet, and are for everyone. */
export function referenceRoutes(): Router {
  const router = Router({ caseSensitive: true })
  let page: string | undefined
  router.get('/openapi.yaml', (_req, res) => {
    res.type('application/yaml').send(readFileSync(file))
  })
  router.get('/reference', (_req, res) => {
    page ??= readReference()
    res.type('html').send(page)
  })
  return router
}
