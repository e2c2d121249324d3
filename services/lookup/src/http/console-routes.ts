import type { ConsoleDeps } from '@ipfleet/console/console.ts'
import { type RequestHandler, Router } from 'express'

/** `/console`, loaded when it is asked for first: a replica whose console no one opens pays nothing for it. */
export function consoleRoutes(deps: ConsoleDeps): Router {
  let opened: Promise<RequestHandler> | undefined
  const open = async (): Promise<RequestHandler> => {
    const { createConsole } = await import('@ipfleet/console/console.ts')
    return createConsole(deps)
  }
  const router = Router({ caseSensitive: true })
  router.use('/console', async (req, res, next) => {
    opened ??= open()
    const handle = await opened.catch((error: unknown) => {
      // Out of file descriptors, say: the next request tries again.
      opened = undefined
      throw error
    })
    await handle(req, res, next)
  })
  return router
}
