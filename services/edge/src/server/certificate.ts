import { X509Certificate } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { createSecureContext, type SecureContextOptions } from 'node:tls'
import type { TlsConfig } from '../config/edge-config.ts'
import { errorCode } from '@ipfleet/core/error-code.ts'

/** PEM texts. */
export interface Certificate {
  readonly cert: string
  readonly key: string
}

/**
 * Reads the files of `[tls]` and sees that they belong together.
 * @throws Error with a reason in plain words; it never holds what is in the files
 */
export function readCertificate({ cert, key }: TlsConfig): Certificate {
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
 * Why `[tls]` cannot be used, in words that hold nothing of the files. Without `validAtMs` an expired certificate can:
 * an edge that starts again with one still serves those who do not look.
 */
export function certificateFault(
  tls: TlsConfig,
  { validAtMs }: { readonly validAtMs?: number } = {},
): string | undefined {
  try {
    const { cert } = readCertificate(tls)
    if (validAtMs === undefined) return undefined
    const { validTo, validToDate } = new X509Certificate(cert)
    return validToDate.getTime() < validAtMs ? `${tls.cert} has expired (${validTo})` : undefined
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  }
}

export function secureOptions({ minVersion }: TlsConfig, certificate: Certificate): SecureContextOptions {
  return { ...certificate, minVersion }
}

function readPem(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    throw new Error(`${path} cannot be read (${errorCode(error) ?? 'unknown'})`, { cause: error })
  }
}
