import { X509Certificate } from 'node:crypto'
import { once } from 'node:events'
import { readFile, stat } from 'node:fs/promises'
import { connect, createServer, type TLSSocket } from 'node:tls'
import { expect, test } from '@jest/globals'
import { testCertificate } from './test-certificate.ts'

test('a certificate is of its subject, for its names, for now, and its own authority', async () => {
  await using made = await testCertificate({ subject: 'first', names: ['hooks.test', '127.0.0.1'] })
  const certificate = new X509Certificate(made.cert)
  expect(certificate.subject).toBe('CN=first')
  expect(certificate.issuer).toBe('CN=first')
  expect(certificate.subjectAltName).toBe('DNS:hooks.test, IP Address:127.0.0.1')
  expect(certificate.ca).toBe(true)
  expect(certificate.verify(certificate.publicKey)).toBe(true)
  expect(certificate.validFromDate.getTime()).toBeLessThan(Date.now())
  expect(certificate.validToDate.getTime()).toBeGreaterThan(Date.now())
  expect(certificate.checkHost('other.test')).toBeUndefined()
})

test('a client that is told of it trusts a server with it, and another does not', async () => {
  await using made = await testCertificate()
  await using other = await testCertificate()
  const server = createServer({ cert: made.cert, key: made.key }, (socket) => socket.end('hello')).listen(
    0,
    '127.0.0.1',
  )
  await once(server, 'listening')
  const address = server.address()
  const port = typeof address === 'object' && address !== null ? address.port : 0
  const dial = (ca: string): TLSSocket => connect({ port, host: '127.0.0.1', servername: 'localhost', ca })
  const [hello]: unknown[] = await once(dial(made.cert), 'data')
  expect(String(hello)).toBe('hello')
  await expect(once(dial(other.cert), 'secureConnect')).rejects.toThrow(/self-signed certificate/)
  server.close()
})

test('its files hold the same, until they are removed', async () => {
  const made = await testCertificate()
  expect(await readFile(made.certFile, 'utf8')).toBe(made.cert)
  expect(await readFile(made.keyFile, 'utf8')).toBe(made.key)
  await made[Symbol.asyncDispose]()
  await expect(stat(made.certFile)).rejects.toThrow('ENOENT')
})
