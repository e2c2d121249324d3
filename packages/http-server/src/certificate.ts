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

/** As much of a logger as it takes. */
interface CertificateLog {
  info(fields: object, message: string): void
  error(message: string): void
}

/**
 * Follows the files of a certificate, which may be renewed while it is served: `renew` has connections to come be given
 * the new one. Files that cannot be used are logged, in words that hold nothing of them, and the one before stays.
 */
export class CertificateFollower {
  readonly #followers: readonly FileFollower[]

  constructor(files: CertificateFiles, renew: (certificate: Certificate) => void, logger: CertificateLog) {
    const read = async (): Promise<void> => {
      const fault = faultOf(() => {
        renew(readCertificate(files))
        logger.info({ cert: files.cert }, 'serving with a new certificate')
      })
      if (fault !== undefined) logger.error(fault)
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
