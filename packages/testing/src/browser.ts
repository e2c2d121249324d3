import { access, constants } from 'node:fs/promises'
import { delimiter, join } from 'node:path'
import axe from 'axe-core'
import { type Browser, type BrowserContextOptions, chromium, type Page } from 'playwright-core'

/**
 * Debian's Chromium without a window, by `chromium` on the PATH; `isInstalled` says beforehand whether it is there. It is
 * closed by the caller.
 */
export async function launchBrowser(): Promise<Browser> {
  const executablePath = await onPath('chromium')
  // Tests run as root in containers, where its sandbox cannot be set up.
  return chromium.launch({ executablePath, args: ['--no-sandbox', '--disable-dev-shm-usage'] })
}

const isRunnable = (file: string): Promise<boolean> =>
  access(file, constants.X_OK).then(
    () => true,
    () => false,
  )

/**
 * A page whose requests, but for streams of events, this process makes: Chromium drops what is under way whenever a
 * network of the machine comes or goes (`ERR_NETWORK_CHANGED`), as they do with the containers of other tests.
 */
export async function steadyPage(browser: Browser, options?: BrowserContextOptions): Promise<Page> {
  const page = await browser.newPage(options)
  await page.route(
    ({ pathname }) => !pathname.endsWith('/events'),
    async (route) => {
      try {
        await route.fulfill({ response: await route.fetch() })
      } catch {
        // The server is gone, or the page itself.
        await route.abort().catch(() => {})
      }
    },
  )
  return page
}

/** @throws when no folder of the PATH has it */
async function onPath(program: string): Promise<string> {
  const files = (process.env['PATH'] ?? '').split(delimiter).map((folder) => join(folder, program))
  const runnable = await Promise.all(files.map((file) => isRunnable(file)))
  const found = files.find((_file, index) => runnable[index])
  if (found === undefined) throw new Error(`No ${program} on the PATH: apt-get install ${program}`)
  return found
}

const accessibilityRules = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice']

/** Is called in the page. */
const runAxe = (rules: string[]): Promise<axe.AxeResults> =>
  (globalThis as unknown as { readonly axe: typeof axe }).axe.run({ runOnly: rules })

/** What axe-core finds wrong with the page as it stands, a line each. */
export async function accessibilityFindings(page: Page): Promise<string[]> {
  // By the debugger's way, which a Content-Security-Policy does not forbid.
  await page.evaluate(axe.source)
  const { violations } = await page.evaluate(runAxe, accessibilityRules)
  return violations.flatMap(({ id, help, nodes }) => nodes.map(({ html }) => `${id}: ${help}: ${html}`))
}
