import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { findComposeEngine } from '../src/compose-engine.ts'
import { isInstalled } from '../src/is-installed.ts'
import { followReadme } from '../src/readme-follower.ts'
import { checkoutObstacle, type ReadmeCheckout, readmeCheckout } from '../src/readme-place.ts'
import { isPortFree } from '../src/service-process-port.ts'
import { until } from '../src/until.ts'

/**
 * Somebody checks the repository out, types what the READMEs say, and sees what they show. One file for all of them:
 * they have the same ports.
 */

const repository = fileURLToPath(new URL('../../..', import.meta.url))
const readmes = ['README.md', 'services/lookup/README.md', 'services/bulk/README.md']

const obstacle = await checkoutObstacle(repository)
if (obstacle !== undefined) process.stderr.write(`readme-commands.test.ts is skipped: ${obstacle}\n`)
const possible = obstacle === undefined ? describe : describe.skip

const engine = await findComposeEngine()
const noDocker = typeof engine === 'string' ? engine : undefined

/** Those that the READMEs name: of replicas, edge and bulk, of the fleet's Redis, and what Compose publishes. */
const ports = [8080, 8082, 18_080, 18_081, 18_082, 8090, 8443, 6390, ...(noDocker === undefined ? [7777, 9090] : [])]
/** Other test files may have them for a while. */
const portsPatienceMs = 180_000

// The certificate that one block makes is in the others.
const usesOpenssl = (script: string): boolean => /\bopenssl\b|\bipinfo\.(?:crt|toml)\b/.test(script)
const hasOpenssl = await isInstalled('openssl', 'blocks that need it are not run')
const noOpenssl = hasOpenssl ? undefined : 'there is no openssl'

const usesDocker = (script: string): boolean => /\bdocker\b/.test(script)
/** Of a block: images may have to be built, packages to be installed. */
const timeoutMs = (script: string): number => (usesDocker(script) ? 15 * 60_000 : 3 * 60_000)
const readmeTimeoutMs = 40 * 60_000

possible('word for word', () => {
  let checkout: ReadmeCheckout
  beforeAll(async () => {
    checkout = await readmeCheckout(repository)
  })
  afterAll(() => checkout.remove(), 120_000)

  test.each(readmes)(
    '%s',
    async (readme) => {
      await freePorts()
      await followReadme(readme, readFileSync(`${repository}/${readme}`, 'utf8'), {
        folder: checkout.folder,
        env: checkout.env,
        obstacle: (script) => (usesDocker(script) ? noDocker : usesOpenssl(script) ? noOpenssl : undefined),
        print: (line) => process.stderr.write(`${line}\n`),
        timeoutMs,
      })
    },
    readmeTimeoutMs,
  )
})

async function freePorts(): Promise<void> {
  await until(async () => (await takenPorts()).length === 0, portsPatienceMs).catch(() => undefined)
  expect({ portsThatSomethingElseListensOn: await takenPorts() }).toEqual({ portsThatSomethingElseListensOn: [] })
}

async function takenPorts(): Promise<number[]> {
  const free = await Promise.all(ports.map((port) => isPortFree(port)))
  return ports.filter((_, index) => !free[index])
}
