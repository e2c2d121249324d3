import { createHash, generateKeyPairSync, randomBytes, sign } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { isIP } from 'node:net'
import { join } from 'node:path'
import { bits, context, integer, octets, oid, sequence, set, text, utcTime } from './der.ts'
import { temporaryFolder } from './service-process-folder.ts'

export interface TestCertificate extends AsyncDisposable {
  readonly certFile: string
  readonly keyFile: string
  /** PEM texts. */
  readonly cert: string
  readonly key: string
}

export interface TestCertificateOptions {
  /** Default localhost. */
  readonly subject?: string
  /** Host names and IPv4 addresses that it is for. */
  readonly names?: readonly string[]
}

/**
 * A certificate that nobody trusts who is not told to, and its key, in files. By default for localhost and 127.0.0.1.
 * It is its own authority, and valid from yesterday until tomorrow.
 */
export async function testCertificate(options: TestCertificateOptions = {}): Promise<TestCertificate> {
  const { cert, key } = selfSigned(options)
  const folder = await temporaryFolder('certificate')
  const [certFile, keyFile] = [join(folder.path, 'cert.pem'), join(folder.path, 'key.pem')]
  await Promise.all([writeFile(certFile, cert), writeFile(keyFile, key, { mode: 0o600 })])
  return { certFile, keyFile, cert, key, [Symbol.asyncDispose]: () => folder.remove() }
}

const dayMs = 24 * 60 * 60 * 1000

/**
 * Node has no function for it, and not every machine has OpenSSL.
 * @see RFC 5280, section 4.1, for the structure; RFC 5758, section 3.2, for the algorithm
 */
function selfSigned({ subject = 'localhost', names = ['localhost', '127.0.0.1'] }: TestCertificateOptions): {
  readonly cert: string
  readonly key: string
} {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const spki = publicKey.export({ type: 'spki', format: 'der' })
  const ecdsaWithSha256 = sequence(oid('1.2.840.10045.4.3.2'))
  const name = sequence(set(sequence(oid('2.5.4.3'), text(subject))))
  const nowMs = Date.now()
  const tbsCertificate = sequence(
    context(0, integer(Buffer.from([2]))), // version 3
    integer(Buffer.concat([Buffer.from([1]), randomBytes(8)])),
    ecdsaWithSha256,
    name,
    sequence(utcTime(nowMs - dayMs), utcTime(nowMs + dayMs)),
    name,
    spki,
    context(3, sequence(...extensions(spki, names))),
  )
  const signature = sign('sha256', tbsCertificate, privateKey)
  return {
    cert: pem(sequence(tbsCertificate, ecdsaWithSha256, bits(signature))),
    key: privateKey.export({ type: 'pkcs8', format: 'pem' }),
  }
}

function extensions(spki: Buffer, names: readonly string[]): Buffer[] {
  const keyId = createHash('sha1').update(spki).digest()
  const yes = Buffer.from([1, 1, 0xff]) // BOOLEAN
  const alternatives = names.map((name) =>
    isIP(name) === 4
      ? context(7, Buffer.from(name.split('.').map(Number)), 'primitive')
      : context(2, Buffer.from(name), 'primitive'),
  )
  return [
    extension('2.5.29.14', octets(keyId)), // subjectKeyIdentifier
    extension('2.5.29.35', sequence(context(0, keyId, 'primitive'))), // authorityKeyIdentifier
    extension('2.5.29.19', sequence(yes), [yes]), // basicConstraints: an authority
    extension('2.5.29.17', sequence(...alternatives)), // subjectAltName
  ]
}

function extension(id: string, value: Buffer, critical: readonly Buffer[] = []): Buffer {
  return sequence(oid(id), ...critical, octets(value))
}

function pem(der: Buffer): string {
  const lines = der.toString('base64').match(/.{1,64}/g) ?? []
  return `-----BEGIN CERTIFICATE-----\n${lines.join('\n')}\n-----END CERTIFICATE-----\n`
}
