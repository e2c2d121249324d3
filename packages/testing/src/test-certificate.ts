import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { installDebianPackage } from './debian-package.ts'
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
  /** Whom it is for, as OpenSSL has it. */
  readonly names?: string
}

/** A certificate that nobody trusts who is not told to, in files. By default for localhost and 127.0.0.1. */
export async function testCertificate(options: TestCertificateOptions = {}): Promise<TestCertificate> {
  const { subject = 'localhost', names = 'DNS:localhost,IP:127.0.0.1' } = options
  const folder = await temporaryFolder('certificate')
  const [certFile, keyFile] = [join(folder.path, 'cert.pem'), join(folder.path, 'key.pem')]
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-keyout', keyFile]
  const of = ['-out', certFile, '-days', '2', '-subj', `/CN=${subject}`, '-addext', `subjectAltName=${names}`]
  await openssl('req', '-x509', ...key, ...of)
  return {
    certFile,
    keyFile,
    cert: await readFile(certFile, 'utf8'),
    key: await readFile(keyFile, 'utf8'),
    [Symbol.asyncDispose]: () => folder.remove(),
  }
}

/** Not every machine has it. */
async function openssl(...args: readonly string[]): Promise<void> {
  const run = (): Promise<unknown> => promisify(execFile)('openssl', args)
  try {
    await run()
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'ENOENT')) throw error
    const obstacle = await installDebianPackage('openssl')
    if (obstacle !== undefined) throw new Error(`openssl is missing: ${obstacle}`, { cause: error })
    await run()
  }
}
