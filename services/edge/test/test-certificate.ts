import {
  type TestCertificate as AnyCertificate,
  testCertificate as anyCertificate,
  type TestCertificateOptions,
} from '@ipfleet/testing/test-certificate.ts'

export interface TestCertificate extends AnyCertificate {
  /** The table of an edge that serves with it. */
  readonly toml: string
}

/** A certificate as in `@ipfleet/testing`, for an edge. */
export async function testCertificate(options: TestCertificateOptions = {}): Promise<TestCertificate> {
  const certificate = await anyCertificate(options)
  const { certFile, keyFile } = certificate
  return { ...certificate, toml: `[tls]\ncert = "${certFile}"\nkey = "${keyFile}"` }
}
