import { X509Certificate } from 'node:crypto'
import { readFileSync } from 'node:fs'
import type { SecureContextOptions } from 'node:tls'
import { faultOf, readCertificate, readPem } from '@ipfleet/core/certificate-files.ts'
import { errorCode } from '@ipfleet/core/error-code.ts'

/** PEM files of a connection with TLS. */
export interface TlsFiles {
  /** Authorities that are trusted instead of those that Node.js knows. */
  readonly ca?: string | undefined
  /** What this side shows, and its key. */
  readonly cert?: string | undefined
  readonly key?: string | undefined
}

type Part = keyof TlsFiles

/**
 * Options for `tls.connect` that hold what is in the files at the time when they are read: each new connection has the
 * certificates of then. Of a file that cannot be read the last content stays; without any, no server is trusted.
 */
export function tlsOptions(files: TlsFiles): SecureContextOptions {
  const last: { [part in Part]?: string } = {}
  const read = (part: Part, file: string): string | undefined => {
    try {
      last[part] = readFileSync(file, 'utf8')
    } catch {
      // The connection then fails, and its error is told.
    }
    return last[part]
  }
  const options: SecureContextOptions = {}
  for (const part of ['ca', 'cert', 'key'] as const) {
    const file = files[part]
    if (file === undefined) continue
    const get = (): string | string[] | undefined => read(part, file) ?? (part === 'ca' ? [] : undefined)
    Object.defineProperty(options, part, { enumerable: true, get })
  }
  return options
}

/** What is wrong with a file of authorities, in words that hold nothing of it. */
export function caFault(file: string): string | undefined {
  return faultOf(() => {
    const blocks = readPem(file).match(/-----BEGIN [^]*?-----END [^-]*-----/g)
    if (!blocks) throw new Error(`${file} holds no certificate in PEM`)
    blocks.forEach((block, at) => {
      try {
        void new X509Certificate(block)
      } catch (error) {
        throw new Error(`certificate ${at + 1} in ${file} cannot be read (${errorCode(error) ?? 'unknown'})`, {
          cause: error,
        })
      }
    })
  })
}

/** What is wrong with a certificate and its key, in words that hold nothing of them. */
export function certificateFault(cert: string, key: string): string | undefined {
  return faultOf(() => void readCertificate({ cert, key }))
}
