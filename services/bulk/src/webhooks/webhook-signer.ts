import { Webhook } from 'standardwebhooks'

/** Of the specification: 24 to 64 bytes. More does no harm. */
const minBytes = 24

export interface SignedFields {
  readonly 'webhook-id': string
  /** Whole seconds since 1970. */
  readonly 'webhook-timestamp': string
  readonly 'webhook-signature': string
}

/** Signs after the Standard Webhooks specification, so that receivers can verify with ready-made libraries. */
export class WebhookSigner {
  readonly #signers: readonly Webhook[]

  /**
   * @param secrets base64, with or without `whsec_` in front. With several, each signs: receivers that know one of them
   * are content, so that secrets can be changed without a gap.
   * @throws Error for what is no such secret, without showing it
   */
  constructor(secrets: readonly string[]) {
    this.#signers = secrets.map(readSecret)
  }

  /** @param atMs of the attempt, in milliseconds since 1970 */
  sign(id: string, atMs: number, body: string): SignedFields {
    const at = new Date(atMs)
    return {
      'webhook-id': id,
      'webhook-timestamp': String(Math.floor(atMs / 1000)),
      'webhook-signature': this.#signers.map((signer) => signer.sign(id, at, body)).join(' '),
    }
  }
}

const base64Form = /^[\w+/-]+={0,2}$/

/** The bytes that receivers' libraries make of the text: the same rule as theirs, or no signature would verify. */
function readSecret(text: string): Webhook {
  const bytes = Buffer.from(text.replace(/^whsec_/, ''), 'base64').length
  if (!base64Form.test(text) || bytes < minBytes) throw unfit()
  try {
    return new Webhook(text)
  } catch (error) {
    throw unfit(error)
  }
}

function unfit(cause?: unknown): Error {
  return new Error(
    `must be the base64 of at least ${minBytes} bytes, with or without whsec_ in front; "openssl rand -base64 32" makes one`,
    { cause },
  )
}
