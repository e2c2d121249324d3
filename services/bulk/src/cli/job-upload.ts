import { pipeline, Readable } from 'node:stream'
import { constants, createGzip } from 'node:zlib'
import { codingShown, maxMagicLength } from '../input/content-coding.ts'
import { peek } from '../input/peek.ts'
import { attempted, type FleetClient, type FleetText, requireGood } from './fleet-client.ts'
import { type FleetJob, readJob } from './fleet-job.ts'
import { InputReader } from './input-reader.ts'
import type { RetryPolicy } from './retry-policy.ts'
import { canReopen, type InputForm, type Source } from './sources.ts'

export interface UploadDeps {
  readonly client: FleetClient
  readonly sources: readonly Source[]
  readonly column: string | undefined
  readonly fields: readonly string[] | undefined
  /** With it, an upload whose answer was lost makes no second job. */
  readonly key: string
  readonly retryPolicy: RetryPolicy
  readonly signal: AbortSignal
  /** Told how many bytes of the lists have been read. */
  readonly onProgress: (bytesRead: () => number) => void
}

const contentTypes: Readonly<Record<InputForm, string>> = {
  lines: 'text/plain',
  csv: 'text/csv',
  ndjson: 'application/x-ndjson',
  json: 'application/json',
}

/** A busy server may take its time over a body that has come in whole. */
const idleMs = 300_000

/**
 * Hands a list over as a job. What can be read again is sent again after a lost connection.
 * @throws CommandFault; the signal's reason when it aborts
 */
export async function uploadJob(parts: UploadDeps): Promise<FleetJob> {
  const { sources, retryPolicy } = parts
  if (canReopen(sources)) return retryPolicy.retry(() => attempted(() => send(parts), created))
  return created(await send(parts))
}

const created = (reply: FleetText): FleetJob => readJob(requireGood(reply).text)

function send({ client, sources, column, fields, key, signal, onProgress }: UploadDeps): Promise<FleetText> {
  const { form, pieces, bytesRead } = listOf(sources, column)
  onProgress(bytesRead)
  const query = new URLSearchParams({
    format: form,
    ...(column !== undefined && sources.length === 1 && { column }),
    ...(fields && { fields: fields.join(',') }),
  })
  return client.askText({
    method: 'POST',
    path: `jobs?${query.toString()}`,
    headers: { 'content-type': contentTypes[form], 'idempotency-key': key },
    body: Readable.from(client.isNear ? pieces : packed(pieces), { objectMode: false }),
    idleMs,
    signal,
  })
}

interface List {
  readonly form: InputForm
  readonly pieces: AsyncIterable<Buffer>
  readonly bytesRead: () => number
}

/** One file goes as it is. Several may differ in their forms: what is in them goes as one NDJSON. */
function listOf(sources: readonly Source[], column: string | undefined): List {
  const [source, ...more] = sources
  if (source !== undefined && more.length === 0) {
    const { stream, bytesRead } = source.open()
    return { form: source.form, pieces: stream, bytesRead }
  }
  const reader = new InputReader(sources, column)
  return { form: 'ndjson', pieces: jsonLines(reader), bytesRead: () => reader.bytesRead }
}

async function* jsonLines(reader: InputReader): AsyncGenerator<Buffer> {
  for await (const inputs of reader.inputs()) {
    yield Buffer.from(inputs.map((input) => `${JSON.stringify(input)}\n`).join(''))
  }
}

/** The fleet knows what is packed by its first bytes. */
async function* packed(pieces: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  const { head, all } = await peek(pieces, ({ length }) => length >= maxMagicLength)
  if (codingShown(head) !== undefined) yield* all
  else yield* pipeline(all, createGzip({ level: constants.Z_BEST_SPEED }), () => undefined) as AsyncIterable<Buffer>
}
