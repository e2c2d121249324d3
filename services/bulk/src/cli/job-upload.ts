import { randomUUID } from 'node:crypto'
import { pipeline, Readable } from 'node:stream'
import { constants, createGzip } from 'node:zlib'
import { codingShown, maxMagicLength } from '../input/content-coding.ts'
import { peek } from '../input/peek.ts'
import { failure } from './command-fault.ts'
import type { BulkOptions } from './command-options.ts'
import { attempted, type FleetText, requireGood } from './fleet-client.ts'
import { findJob, type FleetAccess, type FleetJob, readJob } from './fleet-job.ts'
import { InputReader } from './input-reader.ts'
import type { StateFile } from './run-state.ts'
import { canReopen, type InputForm, type Source } from './sources.ts'

export interface RunJobDeps extends FleetAccess {
  readonly options: BulkOptions
  readonly sources: readonly Source[]
  readonly state: StateFile
  readonly note: (text: string) => void
  /** Called with how to read how many bytes of the lists were sent; with undefined after the upload. */
  readonly onUpload: (bytesSent: (() => number) | undefined) => void
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
 * The job of a run: the one that was named, or that the run before has left, else a new one.
 * @throws CommandFault; the signal's reason when it aborts
 */
export async function jobOfRun(deps: RunJobDeps): Promise<FleetJob> {
  const { options, state, note } = deps
  const id = options.job ?? state.now.job
  if (id === undefined) return createJob(deps)
  const found = await findJob(id, deps)
  if (found) return found
  if (options.job !== undefined) throw failure(`there is no job ${id} at ${options.url}`)
  note(`the job ${id} is there no more; the list is handed over again`)
  await state.forgetJob()
  return createJob(deps)
}

const created = (reply: FleetText): FleetJob => readJob(requireGood(reply).text)

/** Uploads the list as a job. Lists that can be read again are sent again after a lost connection. */
async function createJob(deps: RunJobDeps): Promise<FleetJob> {
  const { sources, state, retryPolicy, onUpload } = deps
  // With the key, an upload whose answer was lost makes no second job.
  const key = state.now.uploadKey ?? randomUUID()
  await state.keep({ way: 'job', uploadKey: key })
  try {
    if (canReopen(sources)) return await retryPolicy.retry(() => attempted(() => send(deps, key), created))
    return created(await send(deps, key))
  } finally {
    onUpload(undefined)
  }
}

function send({ client, sources, options, signal, onUpload }: RunJobDeps, key: string): Promise<FleetText> {
  const { column, fields } = options
  const { form, pieces, bytesRead } = listOf(sources, column)
  onUpload(bytesRead)
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
