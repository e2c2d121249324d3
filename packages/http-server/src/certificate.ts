import { X509Certificate } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { createSecureContext } from 'node:tls'
import { errorCode } from '@ipfleet/core/error-code.ts'
import { FileFollower } from '@ipfleet/core/file-follower.ts'

/** Paths of PEM files. */
export interface CertificateFiles {
  readonly cert: string
  readonly key: string
}

/** PEM texts. */
export interface Certificate {
  readonly cert: string
  readonly key: string
}

/**
 * Reads the files and sees that they belong together.
 * @throws Error with a reason in plain words; it never holds what is in the files
 */
export function readCertificate({ cert, key }: CertificateFiles): Certificate {
  const certificate = { cert: readPem(cert), key: readPem(key) }
  try {
    createSecureContext(certificate)
  } catch (error) {
    const code = errorCode(error) ?? 'unknown'
    const reason = code === 'ERR_OSSL_X509_KEY_VALUES_MISMATCH' ? 'they do not belong together' : code
    throw new Error(`${cert} and ${key} are no certificate and key to serve with: ${reason}`, { cause: error })
  }
  return certificate
}

/**
 * Why the files cannot be used, in words that hold nothing of them. Without `validAtMs` an expired certificate can:
 * a service that starts again with one still serves those who do not look.
 */
export function certificateFault(
  files: CertificateFiles,
  { validAtMs }: { readonly validAtMs?: number } = {},
): string | undefined {
  try {
    const { cert } = readCertificate(files)
    if (validAtMs === undefined) return undefined
    const { validTo, validToDate } = new X509Certificate(cert)
    return validToDate.getTime() < validAtMs ? `${files.cert} has expired (${validTo})` : undefined
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  }
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
      try {
        watcher.renewed(readCertificate(files))
      } catch (error) {
        watcher.unusable(error instanceof Error ? error.message : String(error))
      }
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

function readPem(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    throw new Error(`${path} cannot be read (${errorCode(error) ?? 'unknown'})`, { cause: error })
  }
}
