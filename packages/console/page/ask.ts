import type { Session } from '../src/contract.ts'

/** What the server refused, with its own sentence, which says what to do. */
export class Refusal extends Error {
  readonly status: number

  constructor(status: number, message: string) {
    super(message)
    this.status = status
  }
}

/** What went wrong, in one sentence. */
export const sentenceOf = (error: unknown): string => (error instanceof Refusal ? error.message : String(error))

let csrf = ''

/** Who is logged in. Keeps the CSRF token, which everything that changes something sends. */
export async function readSession(): Promise<Session> {
  const session = await ask<Session>('GET', '/console/api/session')
  csrf = session.csrf
  return session
}

export interface Asking {
  readonly body?: BodyInit
  readonly headers?: Readonly<Record<string, string>>
  readonly signal?: AbortSignal
}

/**
 * Asks the server, and returns its JSON; undefined when there is none.
 * @throws Refusal for every status but 2xx, and with status 0 when no whole answer came
 */
export async function ask<Answer>(method: string, path: string, asking: Asking = {}): Promise<Answer> {
  const response = await send(method, path, asking)
  return (response.status === 204 ? undefined : await jsonOf(response)) as Answer
}

async function jsonOf(response: Response): Promise<unknown> {
  try {
    return await response.json()
  } catch {
    throw new Refusal(0, 'The answer broke off, or is not one of ipfleet')
  }
}

/** As `ask`, with the answer as it comes in. */
export async function send(method: string, path: string, asking: Asking = {}): Promise<Response> {
  const isOwn = path.startsWith('/console/')
  const headers = { ...(isOwn && method !== 'GET' && { 'X-CSRF-Token': csrf }), ...asking.headers }
  const init = { ...asking, method, headers, cache: 'no-store' as const }
  const response = await fetch(path, init).catch((error: unknown) => {
    if (asking.signal?.aborted === true) throw error
    throw new Refusal(0, 'The server did not answer. Is it still running?')
  })
  if (!response.ok) throw new Refusal(response.status, await messageOf(response))
  return response
}

/** The error body has one of the shapes that IPinfo's surfaces have. */
async function messageOf(response: Response): Promise<string> {
  const fallback = `The server answered ${response.status}`
  try {
    const { error, message } = (await response.json()) as { readonly error?: unknown; readonly message?: unknown }
    if (typeof error === 'string') return error
    const nested = typeof error === 'object' && error !== null && 'message' in error ? error.message : message
    return typeof nested === 'string' ? nested : fallback
  } catch {
    return fallback
  }
}
