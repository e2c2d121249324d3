import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import { temporaryFolder, type TemporaryFolder } from '@ipfleet/testing/service-process-folder.ts'
import { testCertificate, type TestCertificate } from '@ipfleet/testing/test-certificate.ts'
import { until } from '@ipfleet/testing/until.ts'
import { outputOf, type Place, type RealProgram, versionOf } from './real-program.ts'
import { RecordingOrigin } from './recording-origin.ts'
import { type RunningEgress, startEgress } from './start-egress.ts'

/** Tests each of these programs in each of its ways, and says which are missing. To be called where tests are defined. */
export async function testPrograms(programs: readonly RealProgram[]): Promise<void> {
  const pool = '127.0.0.2'
  let place: Place
  let folder: TemporaryFolder
  let certificate: TestCertificate
  const origins: RecordingOrigin[] = []
  const peers = (): string[] => origins.flatMap((origin) => origin.peers)
  const proxies: RunningEgress[] = []

  beforeAll(async () => {
    folder = await temporaryFolder('real-programs')
    certificate = await testCertificate()
    const [plain, secure] = [await RecordingOrigin.start(), await RecordingOrigin.start({ tls: certificate })]
    origins.push(plain, secure)
    for (const origin of origins) origin.answer = answer
    const tls = { TLS_LISTEN_ADDR: '127.0.0.1:0', TLS_CERT: certificate.certFile, TLS_KEY: certificate.keyFile }
    const guarded = await startEgress({ IP_POOL: pool, PROXY_USER: 'me', PROXY_PASS: 'p@ss:w', ...tls })
    const open = await startEgress({ IP_POOL: pool })
    proxies.push(guarded, open)
    place = {
      folder: folder.path,
      guarded: `me:p%40ss%3Aw@127.0.0.1:${guarded.port}`,
      guardedPort: guarded.port,
      openPort: open.port,
      tlsPort: Number(guarded.lines().find(({ msg }) => msg === 'listening for TLS')?.['port']),
      caFile: certificate.certFile,
      url: plain.url,
      authority: plain.authority,
      originPort: plain.port,
      secureUrl: secure.url,
    }
  })
  beforeEach(() => {
    for (const origin of origins) origin.forget()
  })
  afterAll(async () => {
    await Promise.all(proxies.map((proxy) => proxy.stop()))
    await Promise.all(origins.map((origin) => origin[Symbol.asyncDispose]()))
    await certificate[Symbol.asyncDispose]()
    await folder.remove()
  })

  for (const program of programs) {
    const version = await versionOf(program)
    const { name, from, ways } = program
    process.stdout.write(
      version === undefined ? `No ${name} here (${from}): it is not tested\n` : `${name}: ${version}\n`,
    )
    const described = version === undefined ? describe.skip : describe
    described(name, () => {
      test.each(Object.keys(ways))('by %s', async (way) => {
        await outputOf(program, ways[way]!(place), folder)
        await until(() => peers().length > 0)
        expect(new Set(peers())).toEqual(new Set([pool]))
        for (const { headers } of origins.flatMap(({ arrivals }) => arrivals)) {
          expect(headers).not.toHaveProperty('proxy-authorization')
        }
      })
    })
  }
}

/** Enough of a Git repository, of a registry of npm, and else where a request came from. */
const answer: RecordingOrigin['answer'] = (req, res) => {
  const isRefs = req.url?.startsWith('/repo.git/info/refs')
  const isHead = req.url?.startsWith('/repo.git/HEAD')
  if (isRefs) res.setHeader('Content-Type', 'text/plain').end(`${'a'.repeat(40)}\trefs/heads/main\n`)
  else if (isHead) res.setHeader('Content-Type', 'text/plain').end('ref: refs/heads/main\n')
  else if (req.url?.startsWith('/-/ping')) res.setHeader('Content-Type', 'application/json').end('{}')
  else res.end(req.socket.remoteAddress)
}
