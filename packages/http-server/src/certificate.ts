import { X509Certificate } from 'node:crypto'
import { type Certificate, type CertificateFiles, faultOf, readCertificate } from '@ipfleet/core/certificate-files.ts'
import { FileFollower } from '@ipfleet/core/file-follower.ts'

/**
 * Why the files cannot be used, in words that hold nothing of them. Without `validAtMs` an expired certificate can:
 * a service that starts again with one still serves those who do not look.
 */
export function certificateFault(
  files: CertificateFiles,
  { validAtMs }: { readonly validAtMs?: number } = {},
): string | undefined {
  return faultOf(() => {
    const { cert } = readCertificate(files)
    if (validAtMs === undefined) return
    const { validTo, validToDate } = new X509Certificate(cert)
    if (validToDate.getTime() < validAtMs) throw new Error(`${files.cert} has expired (${validTo})`)
  })
}

/** Told of what becomes of certificate files that change. */
export interface CertificateWatcher {
  /** The certificate for the connections to come. */
  renewed(certificate: Certificate): void
  /** They cannot be used, so that the certificate before stays. The message holds nothing of what is in them. */
  unusable(message: string): void
}

/** Follows the files of a certificate, which may be renewed while it is served. */
export class CertificateFollower {
  readonly #followers: readonly FileFollower[]

  constructor(files: CertificateFiles, watcher: CertificateWatcher) {
    const read = async (): Promise<void> => {
      const fault = faultOf(() => watcher.renewed(readCertificate(files)))
      if (fault !== undefined) watcher.unusable(fault)
    }
    this.#followers = [files.cert, files.key].map((path) => new FileFollower(path, read))
    for (const follower of this.#followers) {
      follower.markSeen()
      follower.start()
    }
  }

  close(): void {
    for (const follower of this.#followers) follower.close()
  }
}
