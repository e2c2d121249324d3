import { execFile } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { once } from 'node:events'
import { type Agent, get, Agent as HttpAgent, type IncomingMessage } from 'node:http'
import { get as getSecurely, Agent as HttpsAgent } from 'node:https'
import { text } from 'node:stream/consumers'
import { promisify } from 'node:util'
import got from 'got'
import { HttpsProxyAgent } from 'https-proxy-agent'
import { isInstalled } from '@ipfleet/testing/is-installed.ts'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import { ScriptedBackend } from '@ipfleet/testing/scripted-backend.ts'
import { namesEnvironment } from '@ipfleet/testing/names-environment.ts'
import { temporaryFolder, type TemporaryFolder } from '@ipfleet/testing/service-process-folder.ts'
import { testCertificate, type TestCertificate } from '@ipfleet/testing/test-certificate.ts'
import { acceptance, clientFrame, textFrame } from '@ipfleet/testing/websocket-server.ts'
import { until } from '@ipfleet/testing/until.ts'
import { fetch, ProxyAgent, WebSocket } from 'undici'
import { Chromium, type ChromiumOptions } from './chromium.ts'
import { RecordingOrigin } from './recording-origin.ts'
import { type RunningEgress, startEgress } from './start-egress.ts'

/** Programs and libraries that others have written, through the proxy. */
const run = promisify(execFile)

const withCurl = (await isInstalled('curl', 'that it gets through is not tested')) ? describe : describe.skip
const withChromium = (await isInstalled('chromium', 'that it gets through is not tested')) ? describe : describe.skip

const pool = ['127.0.0.2', '127.0.0.3']
const env = { IP_POOL: pool.join(), PROXY_USER: 'me', PROXY_PASS: 'p@ss:w' }
let certificate: TestCertificate
let plain: RecordingOrigin
let secure: RecordingOrigin
let egress: RunningEgress
let ca = ''

beforeAll(async () => {
  certificate = await testCertificate()
  ca = certificate.cert
  plain = await RecordingOrigin.start()
  secure = await RecordingOrigin.start({ tls: certificate })
  egress = await startEgress(env)
})
beforeEach(() => {
  plain.forget()
  secure.forget()
})
afterAll(async () => {
  await egress.stop()
  await Promise.all([plain[Symbol.asyncDispose](), secure[Symbol.asyncDispose](), certificate[Symbol.asyncDispose]()])
})

/** The proxy as clients are told of it. */
function proxyUrl(credentials = 'me:p%40ss%3Aw'): string {
  return `http://${credentials}@127.0.0.1:${egress.port}`
}

/** What left from an address of the pool, and brought no credentials of the proxy to the origin. */
function expectArrival({ arrivals }: RecordingOrigin, url = '/'): void {
  expect(arrivals.map((arrival) => arrival.url)).toEqual([url])
  const [arrival] = arrivals
  expect(pool).toContain(arrival?.from)
  expect(arrival?.headers).not.toHaveProperty('proxy-authorization')
}

/** What it prints, with nothing in its environment that names another proxy. */
async function curl(...args: readonly string[]): Promise<string> {
  const { stdout } = await run('curl', ['-sS', '--max-time', '20', ...args], { env: { PATH: process.env['PATH'] } })
  return stdout
}

withCurl('curl', () => {
  test('asks for a URL', async () => {
    const answer = await curl('-i', '-x', proxyUrl(), `${plain.url}a?b=c`)
    expectArrival(plain, '/a?b=c')
    expect(answer).toMatch(/^HTTP\/1\.1 200 OK\r\n/)
    expect(answer).toContain(`\r\nX-Egress-IP: ${plain.sources[0]}\r\n`)
  })

  test('asks over TLS, end to end, and learns from which address', async () => {
    const answer = await curl('-i', '--cacert', certificate.certFile, '-x', proxyUrl(), secure.url)
    expectArrival(secure)
    const [connected = '', answered = ''] = answer.split(/\r\n\r\n(?=HTTP)/)
    expect(connected).toMatch(/^HTTP\/1\.1 200 /)
    expect(connected).toContain(`X-Egress-IP: ${secure.sources[0]}`)
    expect(answered).not.toMatch(/^(?:x-egress-ip|via):/im)
  })

  test('names a user apart from the URL, with a session', async () => {
    const proxy = ['-x', `127.0.0.1:${egress.port}`, '-U', 'me-session-abc:p@ss:w']
    const asked = [curl(...proxy, plain.url), curl(...proxy, plain.url), curl(...proxy, '-p', plain.url)]
    expect(new Set(await Promise.all(asked)).size).toBe(1)
  })

  test.each([
    ['for a URL', () => [plain.url]],
    ['for a tunnel', () => ['-k', secure.url]],
  ])('with a wrong password is told 407, %s', async (_what, args) => {
    const written = ['-o', '/dev/null', '-w', '%{http_code} %{http_connect}', '-x', proxyUrl('me:wrong')]
    const answer = await curl(...written, ...args()).catch((error: { stdout: string }) => error.stdout)
    expect(answer).toMatch(/407/)
    expect(plain.connections + secure.connections).toBe(0)
  })
})

describe('undici', () => {
  test('asks for a URL and over TLS through its ProxyAgent', async () => {
    const dispatcher = new ProxyAgent({ uri: proxyUrl(), requestTls: { ca } })
    try {
      expect(await (await fetch(plain.url, { dispatcher })).text()).toBe(plain.sources[0])
      expectArrival(plain)
      expect(await (await fetch(secure.url, { dispatcher })).text()).toBe(secure.sources[0])
      expectArrival(secure)
    } finally {
      await dispatcher.destroy()
    }
  })

  test('is told of a wrong password', async () => {
    const dispatcher = new ProxyAgent({ uri: proxyUrl('me:wrong'), requestTls: { ca } })
    try {
      const failure: unknown = await fetch(secure.url, { dispatcher }).catch((error: unknown) => error)
      expect(causesOf(failure).join()).toContain('407')
    } finally {
      await dispatcher.destroy()
    }
  })

  test('opens a WebSocket', async () => {
    const backend = await ScriptedBackend.start()
    const dispatcher = new ProxyAgent({ uri: proxyUrl() })
    try {
      const socket = new WebSocket(`ws://127.0.0.1:${backend.port}/chat`, { dispatcher })
      const server = await backend.accept()
      expect(pool).toContain(server.socket.remoteAddress)
      server.write(acceptance(await server.saw('\r\n\r\n')))
      await once(socket, 'open')
      socket.send('hello')
      expect(await until(() => clientFrame(server))).toEqual({ opcode: 1, text: 'hello' })
      const heard = once(socket, 'message')
      server.write(textFrame('and you'))
      const [{ data }] = await heard
      expect(data).toBe('and you')
    } finally {
      await dispatcher.destroy()
      await backend[Symbol.asyncDispose]()
    }
  })
})

/** The messages of an error, and of what it is caused by. */
function causesOf(error: unknown): string[] {
  return Error.isError(error) ? [error.message, ...causesOf(error.cause)] : []
}

async function answerOf(req: ReturnType<typeof get>): Promise<string> {
  const [res] = (await once(req, 'response')) as [IncomingMessage]
  return text(res)
}

describe('agents of node:http', () => {
  test('https-proxy-agent', async () => {
    const agent = new HttpsProxyAgent(proxyUrl())
    expect(await answerOf(getSecurely(secure.url, { agent, ca }))).toBe(secure.sources[0])
    expectArrival(secure)
  })

  test('https-proxy-agent under got', async () => {
    const agent = new HttpsProxyAgent(proxyUrl()) as unknown as Agent & HttpsAgent
    const options = { agent: { http: agent, https: agent }, https: { certificateAuthority: ca }, retry: { limit: 0 } }
    expect(await got(plain.url, options).text()).toBe(plain.sources[0])
    expectArrival(plain)
    expect(await got(secure.url, options).text()).toBe(secure.sources[0])
    expectArrival(secure)
  })

  test('Node’s own, that reads HTTP_PROXY', async () => {
    const proxyEnv = { HTTP_PROXY: proxyUrl(), HTTPS_PROXY: proxyUrl() }
    expect(await answerOf(get(plain.url, { agent: new HttpAgent({ proxyEnv }) }))).toBe(plain.sources[0])
    expectArrival(plain)
    expect(await answerOf(getSecurely(secure.url, { agent: new HttpsAgent({ proxyEnv }), ca }))).toBe(secure.sources[0])
    expectArrival(secure)
  })
})

withChromium('Chromium', () => {
  let folder: TemporaryFolder
  let proxy: RunningEgress
  beforeAll(async () => {
    folder = await temporaryFolder('names')
    const names = join(folder.path, 'names.json')
    // What a browser looks for by itself is found nowhere.
    await writeFile(names, '{}')
    proxy = await startEgress({ ...env, ...namesEnvironment(names) })
  })
  afterAll(async () => {
    await proxy.stop()
    await folder.remove()
  })

  const browser = (password?: string): Promise<Chromium> => {
    const credentials: ChromiumOptions['credentials'] =
      password === undefined ? undefined : { username: 'me', password }
    return Chromium.start({ proxy: `http://127.0.0.1:${proxy.port}`, ...(credentials && { credentials }) })
  }

  test('shows pages, over TLS too, to who types the password', async () => {
    await using chromium = await browser('p@ss:w')
    for (const origin of [plain, secure]) {
      const { status, text: shown } = await chromium.open(`${origin.url}page`)
      const page = origin.arrivals.find(({ url }) => url === '/page')
      expect([status, shown]).toEqual([200, page?.from])
      expect(pool).toContain(page?.from)
    }
  })

  test('opens a WebSocket of a page', async () => {
    await using chromium = await browser('p@ss:w')
    await using backend = await ScriptedBackend.start()
    const script = `const socket = new WebSocket('ws://127.0.0.1:${backend.port}/'); socket.onopen = () => socket.send('hello')`
    await using origin = await RecordingOrigin.start()
    origin.answer = (_req, res) => res.setHeader('content-type', 'text/html').end(`<body><script>${script}</script>`)
    await chromium.open(origin.url)
    const server = await backend.accept()
    expect(pool).toContain(server.socket.remoteAddress)
    server.write(acceptance(await server.saw('\r\n\r\n')))
    expect(await until(() => clientFrame(server))).toEqual({ opcode: 1, text: 'hello' })
  })

  test.each([
    ['a wrong one', 'wrong'],
    ['none', undefined],
  ])('shows the 407 to who types %s', async (_what, typed) => {
    await using chromium = await browser(typed)
    const { status, text: shown } = await chromium.open(plain.url)
    expect([status, shown]).toEqual([407, expect.stringContaining('Proxy authentication required')])
    expect(await chromium.open(secure.url)).toMatchObject({ status: 407, error: expect.stringMatching(/^net::ERR_/) })
    expect(plain.connections + secure.connections).toBe(0)
  })
})
