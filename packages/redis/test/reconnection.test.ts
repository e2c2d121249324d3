import { once } from 'node:events'
import { copyFile, writeFile } from 'node:fs/promises'
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net'
import { chooseRedisProvider } from '@ipfleet/testing/redis-provider-choice.ts'
import { RespClient } from '@ipfleet/testing/resp-client.ts'
import { freePort } from '@ipfleet/testing/service-process-port.ts'
import { type TestCertificate, testCertificate } from '@ipfleet/testing/test-certificate.ts'
import { startTestRedis, type TestRedis } from '@ipfleet/testing/test-redis.ts'
import { until } from '@ipfleet/testing/until.ts'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { RedisLink } from '../src/redis-link.ts'

/** What may happen while a connection is being made again; it must be made all the same. */

const opened = new AsyncDisposableStack()
let server: TestRedis
let certificate: TestCertificate

beforeAll(async () => {
  certificate = opened.use(await testCertificate())
  server = await startTestRedis()
  opened.defer(() => server.stop())
})

afterAll(() => opened.disposeAsync())

/** Speaks RESP3. Names a master when told to, and is told who subscribes. */
class ScriptedSentinel {
  /** Those that have asked for the master's address and not had it. */
  readonly waiting: Socket[] = []
  readonly #subscribers = new Set<Socket>()
  readonly #server: Server
  #master: number | undefined

  constructor() {
    this.#server = createServer((socket) => {
      socket.on('error', () => socket.destroy())
      socket.on('close', () => this.#subscribers.delete(socket))
      socket.on('data', (data) => {
        for (const [command] of data.toString().matchAll(/\*\d+\r\n(\$\d+\r\n.*\r\n)+/g)) this.#answer(socket, command)
      })
    })
    opened.defer(() => void this.#server.close())
  }

  get subscribers(): number {
    return this.#subscribers.size
  }

  async url(): Promise<string> {
    await once(this.#server.listen(0, '127.0.0.1'), 'listening')
    return `redis+sentinel://127.0.0.1:${(this.#server.address() as AddressInfo).port}/mymaster`
  }

  /** Answers who asks, from now on and who has asked; with undefined they have to wait. */
  name(master: number | undefined): void {
    this.#master = master
    for (const socket of this.waiting.splice(0)) this.#answer(socket, 'get-master-addr-by-name')
  }

  /** Tells that there is another master. */
  tellSwitch(): void {
    const words = ['message', '+switch-master', 'mymaster 127.0.0.1 1 127.0.0.1 2']
    for (const socket of this.#subscribers) socket.write(`>3\r\n${words.map(bulk).join('')}`)
  }

  #answer(socket: Socket, command: string): void {
    if (command.includes('get-master-addr-by-name')) {
      if (this.#master === undefined) this.waiting.push(socket)
      else socket.write(`*2\r\n${bulk('127.0.0.1')}${bulk(String(this.#master))}`)
    } else if (command.includes('subscribe')) {
      this.#subscribers.add(socket)
      socket.write(`>3\r\n${bulk('subscribe')}${bulk('+switch-master')}:1\r\n`)
    } else if (command.includes('sentinels')) socket.write('*0\r\n')
    else socket.write(/hello/i.test(command) ? '%0\r\n' : '+OK\r\n')
  }
}

const bulk = (text: string): string => `$${text.length}\r\n${text}\r\n`

test('a master that is replaced while the Sentinels are being asked for it is found', async () => {
  const sentinel = new ScriptedSentinel()
  const first = await startTestRedis()
  sentinel.name(first.port)
  const link = new RedisLink({ url: await sentinel.url(), name: 'state', timeoutMs: 1000 })
  opened.defer(() => link.close())
  await once(link, 'up')
  await until(() => sentinel.subscribers > 0)
  sentinel.name(undefined)
  await first.stop()
  await until(() => sentinel.waiting.length > 0)
  sentinel.tellSwitch()
  await until(() => sentinel.subscribers === 0)
  sentinel.name(server.port)
  await until(() => link.up)
  expect(link.master).toBe(`127.0.0.1:${server.port}`)
})

test('files of certificates that cannot be used while a connection is made again are told, and used once they can', async () => {
  await using files = await testCertificate()
  const { certFile: ca, keyFile: key } = certificate
  const port = await freePort()
  const { provider } = await chooseRedisProvider('local')
  const pem = ['--tls-cert-file', ca, '--tls-key-file', key, '--tls-ca-cert-file', ca]
  const strict = await startTestRedis({ provider, args: ['--tls-port', String(port), ...pem] })
  opened.defer(() => strict.stop())
  const killer = await RespClient.connect(strict.url)
  opened.defer(() => killer.close())
  await copyFile(ca, files.certFile)
  await copyFile(key, files.keyFile)
  const tls = { ca: files.certFile, cert: files.certFile, key: files.keyFile }
  const link = new RedisLink({ url: `rediss://localhost:${port}`, name: 'state', timeoutMs: 1000, tls })
  opened.defer(() => link.close())
  await once(link, 'up')
  for (const broken of [files.certFile, files.keyFile]) {
    await writeFile(broken, '-----BEGIN CERTIFICATE-----\nnone\n-----END CERTIFICATE-----\n')
    await killer.call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes')
    await once(link, 'down')
    await until(() => link.condition.trouble?.problem.message.includes('cannot be used'))
    await copyFile(ca, files.certFile)
    await copyFile(key, files.keyFile)
    await until(() => link.up)
  }
})
