import { ask, Refusal, send } from './ask.ts'
import type { Summary } from './job-summary.ts'
import { keep, recall } from './kept.ts'

/** A job as the bulk service shows it. */
export interface Job {
  readonly id: string
  readonly state: string
  readonly created: string
  readonly lines: { readonly total: number; readonly done: number; readonly answered: number; readonly errors: number }
  readonly waiting?: string
  readonly rate?: number
  readonly eta_seconds?: number
  /** The path of a page about it, for all who have this link. Jobs of older releases have none. */
  readonly report?: string
}

const tokenName = 'ipfleet-client-token'
const retryMs = 3000

export const hasEnded = ({ state }: Job): boolean => !['receiving', 'queued', 'running'].includes(state)

/** One of the fleet's CLIENT_TOKENS, where it has any. It is forgotten with the tab, and never part of a URL. */
function clientToken(): string {
  return recall('sessionStorage', tokenName) ?? ''
}

export function keepClientToken(token: string): void {
  keep('sessionStorage', tokenName, token)
}

const authorization = (): Record<string, string> => {
  const token = clientToken()
  return token === '' ? {} : { Authorization: `Bearer ${token}` }
}

const pathOf = (id: string, rest = ''): string => `/jobs/${encodeURIComponent(id)}${rest}`

export async function listJobs(): Promise<readonly Job[]> {
  const { jobs } = await ask<{ readonly jobs: readonly Job[] }>('GET', '/jobs?limit=20', { headers: authorization() })
  return jobs
}

export function createJob(file: File): Promise<Job> {
  const headers = {
    ...authorization(),
    'Content-Type': contentTypeOf(file.name),
    'Idempotency-Key': randomName(),
  }
  return ask('POST', '/jobs', { body: file, headers })
}

/** A page that came by plain HTTP from another machine has no `crypto.randomUUID` (W3C Secure Contexts). */
const randomName = (): string => crypto.getRandomValues(new Uint32Array(4)).join('-')

/** Cancels a job under way; removes one that has ended. */
export async function deleteJob(id: string): Promise<void> {
  await ask('DELETE', pathOf(id), { headers: authorization() })
}

export function readSummary(id: string): Promise<Summary> {
  return ask('GET', pathOf(id, '/summary'), { headers: authorization() })
}

export async function readResults(id: string, format: string): Promise<Blob> {
  const response = await send('GET', pathOf(id, `/results?format=${format}&spreadsheet=1`), {
    headers: authorization(),
  })
  return response.blob()
}

/** Calls `onChange` after each change until the job has ended, or is no more. Connects again when the stream breaks off. */
export async function followJob(id: string, onChange: (job: Job) => void, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    try {
      // An EventSource can send no token.
      const { body } = await send('GET', pathOf(id, '/events'), { headers: authorization(), signal })
      if (body !== null && (await readEvents(body, onChange))) return
    } catch (error) {
      if (signal.aborted || (error instanceof Refusal && error.status === 404)) return
    }
    await new Promise((resolve) => setTimeout(resolve, retryMs))
  }
}

/** Server-sent events (WHATWG HTML §9.2), as the bulk service writes them. @returns whether the end was told */
async function readEvents(body: ReadableStream<Uint8Array>, onChange: (job: Job) => void): Promise<boolean> {
  const reader = body.pipeThrough(new TextDecoderStream() as ReadableWritablePair<string, Uint8Array>).getReader()
  let unread = ''
  for (;;) {
    const { done, value } = await reader.read()
    if (done) return false
    const events = (unread + value).split('\n\n')
    unread = events.pop() ?? ''
    for (const event of events) {
      const data = /^data: (.*)$/m.exec(event)?.[1]
      if (data === undefined) continue
      const job = JSON.parse(data) as Job
      onChange(job)
      if (event.startsWith('event: end')) return true
    }
  }
}

/** By the name of the file, also of a packed one. */
function contentTypeOf(name: string): string {
  const extension = /\.(\w+)(?:\.(?:gz|br|zst))?$/.exec(name.toLowerCase())?.[1] ?? ''
  if (extension === 'csv' || extension === 'tsv') return 'text/csv'
  if (extension === 'ndjson' || extension === 'jsonl') return 'application/x-ndjson'
  return extension === 'json' ? 'application/json' : 'text/plain'
}
