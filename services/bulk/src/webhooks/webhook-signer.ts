import { Webhook } from 'standardwebhooks'

/** Of the specification: 24 to 64 bytes. More does no harm. */
const minBytes = 24

/** Signs as the Standard Webhooks specification says, so that receivers can verify with existing libraries. */
export class WebhookSigner {
  readonly #signers: readonly Webhook[]

  /**
   * @param secrets base64, with or without `whsec_` in front. Each signs: a receiver accepts any one of them, so that
   * secrets can be changed without a gap.
   * @throws Error for any other text, without showing it
   */
  constructor(secrets: readonly string[]) {
    this.#signers = secrets.map(readSecret)
  }

  /** @param atMs of the attempt, in milliseconds since 1970 */
  sign(id: string, atMs: number, body: string) {
    const at = new Date(atMs)
    return {
      'webhook-id': id,
      // Whole seconds since 1970.
      'webhook-timestamp': String(Math.floor(atMs / 1000)),
      'webhook-signature': this.#signers.map((signer) => signer.sign(id, at, body)).join(' '),
    }
  }
}

const base64Form = /^[\w+/-]+={0,2}$/

/** Decodes the secret as receivers' libraries do, or no signature would verify. */
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
