import { readFileSync } from 'node:fs'
import { createSecureContext } from 'node:tls'
import { errorCode } from './error-code.ts'

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

/** Reads the files and sees that they belong together. @throws Error with a reason that holds nothing of them */
export function readCertificate({ cert, key }: CertificateFiles): Certificate {
  const certificate = { cert: readPem(cert), key: readPem(key) }
  try {
    createSecureContext(certificate)
  } catch (error) {
    const code = errorCode(error) ?? 'unknown'
    const reason = code === 'ERR_OSSL_X509_KEY_VALUES_MISMATCH' ? 'they do not belong together' : code
    throw new Error(`${cert} and ${key} are no certificate and key: ${reason}`, { cause: error })
  }
  return certificate
}

/** @throws Error as above */
export function readPem(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    throw new Error(`${path} cannot be read (${errorCode(error) ?? 'unknown'})`, { cause: error })
  }
}

/** What a check that throws has to say; undefined when nothing is wrong. */
export function faultOf(check: () => void): string | undefined {
  try {
    check()
    return undefined
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  }
}
