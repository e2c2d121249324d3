import { execFile } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { isInstalled } from '@ipfleet/testing/is-installed.ts'
import { temporaryFolder, type TemporaryFolder } from '@ipfleet/testing/service-process-folder.ts'
import type { ServiceProcess } from '@ipfleet/testing/service-process.ts'
import { startEchoBackend } from './start-echo-backend.ts'
import { type RunningEdge, startEdge } from './start-edge.ts'
import { testCertificate, type TestCertificate } from './test-certificate.ts'

/** Programs that others have written, where they are installed. */
const run = promisify(execFile)

const withCurl = (await isInstalled('curl', 'what it would show is not tested')) ? describe : describe.skip
const withH2load = (await isInstalled('h2load', 'what it would show is not tested', 'nghttp2-client'))
  ? describe
  : describe.skip

let certificate: TestCertificate
let backend: ServiceProcess
let plain: RunningEdge
let secure: RunningEdge
let folder: TemporaryFolder
beforeAll(async () => {
  folder = await temporaryFolder('clients')
  certificate = await testCertificate()
  backend = await startEchoBackend()
  plain = await startEdge({ backends: [backend.port] })
  secure = await startEdge({ backends: [backend.port], tables: certificate.toml })
})
afterAll(async () => {
  await Promise.all([plain.stop(), secure.stop()])
  await backend.stop()
  await certificate[Symbol.asyncDispose]()
  await folder.remove()
})

interface Echo {
  readonly method: string
  readonly path: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

/** What curl gets, and over which version of HTTP. */
async function curled(...args: string[]): Promise<{ version: string; status: string; echo: Echo }> {
  const written = ['--write-out', String.raw`\n%{http_version} %{http_code}`]
  const { stdout } = await run('curl', ['--silent', '--show-error', '--max-time', '20', ...written, ...args])
  const [body = '', last = ''] = stdout.split(/\n(?=[^\n]*$)/)
  const [version = '', status = ''] = last.split(' ')
  return { version, status, echo: JSON.parse(body) as Echo }
}

withCurl('curl', () => {
  test.each([
    ['--http1.0', '1.1', '1.0 ipfleet-edge'],
    ['--http1.1', '1.1', '1.1 ipfleet-edge'],
    // It offers h2c, which is not taken up.
    ['--http2', '1.1', '1.1 ipfleet-edge'],
  ])('%s asks plainly', async (how, version, via) => {
    const reply = await curled(how, `${plain.url}/a?b=c`)
    expect(reply).toMatchObject({ version, status: '200', echo: { method: 'GET', path: '/a?b=c', headers: { via } } })
    expect(reply.echo.headers).not.toHaveProperty('upgrade')
  })

  test.each([
    ['--http1.0', '1.1', '1.0 ipfleet-edge'],
    ['--http1.1', '1.1', '1.1 ipfleet-edge'],
    ['--http2', '2', '2.0 ipfleet-edge'],
  ])('%s asks over TLS', async (how, version, via) => {
    const url = `https://127.0.0.1:${secure.port}/a?b=c`
    const { echo, ...reply } = await curled(how, '--cacert', certificate.certFile, url)
    expect(reply).toEqual({ version, status: '200' })
    expect(echo.headers).toMatchObject({ via, 'x-forwarded-proto': 'https' })
  })

  test.each(['--http1.1', '--http2'])('%s uploads a file and asks first whether it may', async (how) => {
    const file = join(folder.path, `upload${how}`)
    const text = randomBytes(1_500_000).toString('hex')
    await writeFile(file, text)
    const url = `https://127.0.0.1:${secure.port}/`
    const expectation = ['--header', 'Expect: 100-continue', '--expect100-timeout', '15']
    const { stderr } = await run('curl', ['-sS', '-v', how, '-k', ...expectation, '-T', file, '-o', `${file}.out`, url])
    // Had nobody told it to go on, it would have waited.
    expect(stderr).toMatch(/^< HTTP\/[\d.]+ 100/m)
    const { method, body } = JSON.parse(await readFile(`${file}.out`, 'utf8')) as Echo
    expect([method, digestOf(body)]).toEqual(['PUT', digestOf(text)])
  })
})

function digestOf(text: string): string {
  return createHash('sha256').update(text).digest('hex')
}

withH2load('h2load', () => {
  const load = ['-n', '2000', '-c', '10', '-m', '20']

  test.each(['h2', 'http/1.1'])('gets an answer to each of its requests over %s', async (protocol) => {
    const { stdout } = await run('h2load', [...load, `--npn-list=${protocol}`, `https://127.0.0.1:${secure.port}/`])
    expect(stdout).toMatch(/^status codes: 2000 2xx, 0 3xx, 0 4xx, 0 5xx$/m)
    expect(stdout).toMatch(/^requests: .* 2000 succeeded, 0 failed, 0 errored, 0 timeout$/m)
    expect(stdout).toContain(`Application protocol: ${protocol}`)
  })

  test('uploads over h2', async () => {
    const file = join(folder.path, 'load')
    await writeFile(file, 'x'.repeat(50_000))
    const url = `https://127.0.0.1:${secure.port}/`
    const { stdout } = await run('h2load', ['-n', '400', '-c', '4', '-m', '10', '-d', file, url])
    expect(stdout).toMatch(/^status codes: 400 2xx, 0 3xx, 0 4xx, 0 5xx$/m)
  })
})
