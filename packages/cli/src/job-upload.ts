import { randomUUID } from 'node:crypto'
import { pipeline, Readable } from 'node:stream'
import { constants, createGzip } from 'node:zlib'
import { linesOf } from '@ipfleet/ip-lists/result-line.ts'
import { failure } from './command-fault.ts'
import type { BulkOptions } from './command-options.ts'
import { attempted, type FleetText, requireGood } from '@ipfleet/fleet-client/fleet-client.ts'
import { findJob, type FleetAccess, type FleetJob, readJob } from './fleet-job.ts'
import { InputReader } from './input-reader.ts'
import type { StateFile } from './run-state.ts'
import { canReopen, type Source } from './sources.ts'

export interface RunJobDeps extends FleetAccess {
  readonly options: BulkOptions
  readonly sources: readonly Source[]
  readonly state: StateFile
  readonly note: (text: string) => void
  /** The reader that has looked at the lists; undefined once it is used. */
  readonly firstReader: () => InputReader | undefined
  /** Called with how to read how many bytes of the lists were sent; with undefined after the upload. */
  readonly onUpload: (bytesSent: (() => number) | undefined) => void
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
  const { sources, state, retryPolicy, signal, onUpload } = deps
  // With the key, an upload whose answer was lost makes no second job.
  const key = state.now.uploadKey ?? randomUUID()
  await state.keep({ way: 'job', uploadKey: key })
  try {
    if (canReopen(sources)) return await retryPolicy.retry(() => attempted(() => send(deps, key), created), signal)
    return created(await send(deps, key))
  } finally {
    onUpload(undefined)
  }
}

function send(
  { client, sources, options, signal, onUpload, firstReader }: RunJobDeps,
  key: string,
): Promise<FleetText> {
  const { fields } = options
  const reader = firstReader() ?? new InputReader(sources, options)
  const pieces = jsonLines(reader)
  onUpload(() => reader.bytesRead)
  const query = new URLSearchParams({ format: 'ndjson', ...(fields && { fields: fields.join(',') }) })
  return client.askText({
    method: 'POST',
    path: `jobs?${query.toString()}`,
    headers: { 'content-type': 'application/x-ndjson', 'idempotency-key': key },
    body: Readable.from(client.isNear ? pieces : packed(pieces), { objectMode: false }),
    idleMs,
    signal,
  })
}

/** What is looked up, whatever the form of the lists. */
async function* jsonLines(reader: InputReader): AsyncGenerator<Buffer> {
  for await (const inputs of reader.inputs()) yield Buffer.from(linesOf(inputs))
}

/** The fleet knows what is packed by its first bytes. */
function packed(pieces: AsyncIterable<Buffer>): AsyncIterable<Buffer> {
  return pipeline(pieces, createGzip({ level: constants.Z_BEST_SPEED }), () => undefined) as AsyncIterable<Buffer>
}
