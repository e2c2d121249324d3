import { execFile } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import { isInstalled } from '@ipfleet/testing/is-installed.ts'
import { temporaryFolder } from '@ipfleet/testing/service-process-folder.ts'
import { testCertificate, type TestCertificate } from '@ipfleet/testing/test-certificate.ts'
import { until } from '@ipfleet/testing/until.ts'
import { Chromium } from './chromium.ts'
import { RecordingOrigin } from './recording-origin.ts'
import { type RunningEgress, startEgress } from './start-egress.ts'

/** Browsers that reach the proxy by SOCKS5, for which they cannot log in, and by TLS. */

const [hasChromium, hasFirefox] = await Promise.all(
  ['chromium', 'firefox-esr'].map((program) => isInstalled(program, 'that it gets through is not tested')),
)
const source = '127.0.0.2'

let certificate: TestCertificate
let origins: RecordingOrigin[]
beforeAll(async () => {
  certificate = await testCertificate()
  origins = [await RecordingOrigin.start(), await RecordingOrigin.start({ tls: certificate })]
})
beforeEach(() => {
  for (const origin of origins) origin.forget()
})
afterAll(async () => {
  for (const origin of origins) await origin[Symbol.asyncDispose]()
  await certificate[Symbol.asyncDispose]()
})

const open = (): Promise<RunningEgress> => startEgress({ IP_POOL: source })

async function showsPages(chromium: Chromium): Promise<void> {
  for (const origin of origins) {
    const { status, text } = await chromium.open(`${origin.url}page`)
    expect([status, text]).toEqual([200, source])
  }
}

;(hasChromium ? describe : describe.skip)('Chromium', () => {
  test('by SOCKS5', async () => {
    await using proxy = await open()
    await using chromium = await Chromium.start({ proxy: `socks5://127.0.0.1:${proxy.port}` })
    await showsPages(chromium)
  })

  test('by TLS, and with a password', async () => {
    const tls = { TLS_LISTEN_ADDR: '127.0.0.1:0', TLS_CERT: certificate.certFile, TLS_KEY: certificate.keyFile }
    await using proxy = await startEgress({ IP_POOL: source, PROXY_USER: 'me', PROXY_PASS: 'p@ss:w', ...tls })
    const port = proxy.lines().find(({ msg }) => msg === 'listening for TLS')?.['port']
    const credentials = { username: 'me', password: 'p@ss:w' }
    await using chromium = await Chromium.start({ proxy: `https://127.0.0.1:${String(port)}`, credentials })
    await showsPages(chromium)
  })
})

;(hasFirefox ? test : test.skip)('Firefox by SOCKS5', async () => {
  await using proxy = await open()
  const profile = await temporaryFolder('firefox')
  const settings = {
    'network.proxy.type': 1,
    'network.proxy.socks': '127.0.0.1',
    'network.proxy.socks_port': proxy.port,
    'network.proxy.allow_hijacking_localhost': true,
  }
  const lines = Object.entries(settings).map(([name, value]) => `user_pref('${name}', ${JSON.stringify(value)});\n`)
  await writeFile(join(profile.path, 'user.js'), lines.join(''))
  const [plain] = origins
  const args = [
    '--headless',
    '--profile',
    profile.path,
    '--screenshot',
    join(profile.path, 'page.png'),
    `${plain?.url}page`,
  ]
  await promisify(execFile)('firefox-esr', args, { env: { ...process.env, HOME: profile.path } })
  await until(() => plain?.arrivals.some(({ url, from }) => url === '/page' && from === source))
  await profile.remove()
})
