import { spawnSync } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { compileCache } from '../src/compile-cache.ts'
import { chooseRedisProvider } from '../src/redis-provider-choice.ts'
import { observeRedis } from '../src/redis-observer.ts'
import { makeReadmeUser } from '../src/redis-users.ts'
import { startService } from '../src/service-process.ts'
import { temporaryFolder } from '../src/service-process-folder.ts'
import { freePort } from '../src/service-process-port.ts'
import { testCertificate } from '../src/test-certificate.ts'
import { startTestRedis } from '../src/test-redis.ts'
import { tlsFlags } from '../src/test-redis-tls.ts'
import { Opened } from './opened.ts'

/** A Redis with TLS, certificates of clients, and a user for each service who may do no more than its README tells. */

const opened = new Opened()
/** What reaches it, for each service. */
let envOf: (service: string) => Record<string, string>

beforeAll(async () => {
  const folder = await temporaryFolder('redis-access')
  opened.defer(() => folder.remove())
  const certificate = await testCertificate()
  opened.use(certificate)
  const { certFile, keyFile } = certificate
  const tlsPort = await freePort()
  const socket = join(folder.path, 'redis.sock')
  // A container would neither see the files nor share the socket.
  const { provider } = await chooseRedisProvider('local')
  const redis = await startTestRedis({ provider, args: [...tlsFlags(certificate, tlsPort), '--unixsocket', socket] })
  opened.defer(() => redis.stop())
  const observer = await observeRedis(redis.url)
  opened.use(observer)
  for (const service of ['lookup', 'edge', 'egress', 'bulk']) await makeReadmeUser(observer, service)
  await observer.call('ACL', 'SETUSER', 'default', 'off')
  const fileOf = async (name: string, text: string): Promise<string> => {
    const file = join(folder.path, name)
    await writeFile(file, text)
    return file
  }
  const urlFile = await fileOf('url', `rediss://localhost:${tlsPort}/1\n`)
  const passwordFile = await fileOf('password', 'PASSWORD\n')
  envOf = (service) => ({
    REDIS_URL_FILE: urlFile,
    REDIS_CA: certFile,
    REDIS_CERT: certFile,
    REDIS_KEY: keyFile,
    REDIS_USERNAME: service,
    REDIS_PASSWORD_FILE: passwordFile,
    ...(service === 'lookup' && {
      REDIS_CACHE_URL: `unix://${socket}?db=2`,
      REDIS_CACHE_USERNAME: service,
      REDIS_CACHE_PASSWORD_FILE: passwordFile,
    }),
  })
})

afterAll(() => opened.disposeAsync())

test.each([
  ['lookup', { PORT: '0', HOST: '127.0.0.1' }, ['state', 'cache']],
  ['edge', {}, ['edge']],
  ['egress', { LISTEN_ADDR: '127.0.0.1:0', METRICS_ADDR: 'off' }, ['egress']],
  ['bulk', { PORT: '0', HOST: '127.0.0.1' }, ['bulk']],
])('%s reaches it, by settings and files alone, and shows no password', async (service, env, links) => {
  const args = service === 'edge' ? ['--config', await edgeFile()] : []
  const common = { LOG_FORMAT: 'json', LOG_LEVEL: 'trace', DRAIN_MS: '0', REDIS_TIMEOUT_MS: '5000' }
  const running = await startService({
    entry: entryOf(service),
    args,
    name: service,
    env: { ...common, ...env, ...envOf(service) },
  })
  for (const link of links) {
    await running.waitForLine((line) => line['msg'] === 'redis is up' && line['redis'] === link)
  }
  await running.stop()
  expect(running.output()).not.toContain('PASSWORD')
})

test.each(['lookup', 'edge', 'egress', 'bulk'])('--check of %s reads the files', (service) => {
  const env = { ...compileCache, REDIS_URL: 'rediss://localhost', REDIS_CA: '/nowhere/ca.pem' }
  const { status, stderr } = spawnSync(process.execPath, [entryOf(service), '--check'], { cwd: tmpdir(), env })
  expect(String(stderr)).toContain('REDIS_CA: /nowhere/ca.pem cannot be read (ENOENT)')
  expect(status).toBe(2)
})

function entryOf(service: string): string {
  return fileURLToPath(new URL(`../../../services/${service}/src/main.ts`, import.meta.url))
}

async function edgeFile(): Promise<string> {
  const folder = await temporaryFolder('edge')
  opened.defer(() => folder.remove())
  const file = join(folder.path, 'edge.toml')
  await writeFile(file, '[server]\nlisten = "127.0.0.1:0"\n[upstreams]\nbackends = ["http://127.0.0.1:1"]\n')
  return file
}
