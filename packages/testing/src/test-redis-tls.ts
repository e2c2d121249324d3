import type { TestCertificate } from './test-certificate.ts'

/** Flags for a server that also listens with TLS, has its replication go that way, and wants certificates of its clients. */
export function tlsFlags({ certFile, keyFile }: TestCertificate, tlsPort: number): string[] {
  const files = ['--tls-cert-file', certFile, '--tls-key-file', keyFile, '--tls-ca-cert-file', certFile]
  return ['--tls-port', String(tlsPort), '--tls-auth-clients', 'yes', '--tls-replication', 'yes', ...files]
}
