import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { temporaryFolder } from '@ipfleet/testing/service-process-folder.ts'

export interface TestCertificate extends AsyncDisposable {
  /** The table of an edge that serves with it. */
  readonly toml: string
}

/** A certificate for localhost that nobody trusts, in files. */
export async function testCertificate(): Promise<TestCertificate> {
  const folder = await temporaryFolder('certificate')
  const [cert, key] = [join(folder.path, 'cert.pem'), join(folder.path, 'key.pem')]
  const pair = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-keyout', key, '-out', cert]
  await promisify(execFile)('openssl', ['req', '-x509', ...pair, '-days', '2', '-subj', '/CN=localhost'])
  return { toml: `[tls]\ncert = "${cert}"\nkey = "${key}"`, [Symbol.asyncDispose]: () => folder.remove() }
}
