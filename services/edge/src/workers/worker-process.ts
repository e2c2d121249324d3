import cluster, { type Worker } from 'node:cluster'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import type { MetricsSnapshot } from '@ipfleet/telemetry/metrics-snapshot.ts'
import { type RpcHandlers, Rpc } from './rpc.ts'
import {
  type PrimaryMethods,
  type WorkerMethods,
  type FromPrimary,
  type FromWorker,
  type Instructions,
  decoded,
  encoded,
} from './messages.ts'
import { within } from '@ipfleet/core/within.ts'

export interface WorkerProcessOptions<Config> {
  /** Those that hold when the worker asks for them. */
  readonly instructions: () => Instructions<Config>
  /** What the worker may ask. */
  readonly handlers: RpcHandlers<PrimaryMethods>
  /** The number of a connection that is handed over now, among those of all workers. */
  readonly nextOrdinal: () => number
}

export type WorkerStart =
  | { readonly kind: 'ready'; readonly host: string; readonly port: number }
  | { readonly kind: 'failed'; readonly reason: string }

export interface WorkerEnd {
  readonly code: number | null
  readonly signal: string | null
  /** What it said itself, when it could not serve. */
  readonly reason: string | undefined
  readonly livedMs: number
  /** Its counts when it had stopped, if it was told to. */
  readonly finalSnapshot: MetricsSnapshot | undefined
}

/** A worker, as the primary process sees it. The constructor starts it. */
export class WorkerProcess<Config> {
  readonly #worker: Worker
  readonly #assigned: AssignedConnections
  readonly #options: WorkerProcessOptions<Config>
  readonly #rpc: Rpc<WorkerMethods, PrimaryMethods>
  readonly #startedAtMs = performance.now()
  readonly #starting = Promise.withResolvers<WorkerStart>()
  #greeted = false
  #serves = false
  #toldToStop = false
  #reason: string | undefined
  #finalSnapshot: MetricsSnapshot | undefined
  /** Whether it serves, or why it does not. */
  readonly started: Promise<WorkerStart> = this.#starting.promise
  /** It has ended, and all of its messages have been read. */
  readonly ended: Promise<WorkerEnd>

  constructor(options: WorkerProcessOptions<Config>) {
    this.#options = options
    this.#worker = cluster.fork()
    this.#assigned = new AssignedConnections(this.#worker.process, () => {
      this.#send({ kind: 'assigned', ordinal: options.nextOrdinal() })
    })
    this.#rpc = new Rpc((message) => this.#send(message), options.handlers)
    this.#worker.on('message', (received) => this.#receive(received))
    this.ended = this.#end()
  }

  get pid(): number | undefined {
    return this.#worker.process.pid
  }

  get serves(): boolean {
    return this.#serves
  }

  /** Undefined when it is gone. */
  snapshot(): Promise<MetricsSnapshot | undefined> {
    return this.#rpc.call('snapshot', null)
  }

  /** Resolves when it has taken all that was sent to it, connections too, or is gone. */
  async caughtUp(): Promise<void> {
    await this.#rpc.call('echo', null)
  }

  /** Connections that were handed to it so far. */
  get assigned(): number {
    return this.#assigned.count
  }

  /** Sends the instructions that hold now, unless it has yet to ask for them. */
  instruct(): void {
    if (this.#greeted) this.#send({ kind: 'instructions', instructions: this.#options.instructions() })
  }

  stop(): void {
    this.#toldToStop = true
    this.#send({ kind: 'stop' })
  }

  kill(): void {
    this.#worker.process.kill('SIGKILL')
  }

  #receive(received: unknown): void {
    const read = decoded<FromWorker>(received)
    if (read.kind === 'message') this.#hear(read.message)
    else if (read.kind === 'incompatible') this.#refuse()
  }

  #hear(message: FromWorker): void {
    switch (message.kind) {
      case 'hello':
        this.#greeted = true
        return this.instruct()
      case 'ready':
        this.#serves = true
        return this.#starting.resolve(message)
      case 'failed':
        this.#reason = message.reason
        return undefined
      case 'final-snapshot':
        this.#finalSnapshot = message.snapshot
        return undefined
      default:
        return this.#rpc.receive(message)
    }
  }

  #refuse(): void {
    this.#reason = 'it is of another version than the primary process: the service has to be restarted'
    this.kill()
  }

  async #end(): Promise<WorkerEnd> {
    const { code, signal } = await exitOf(this.#worker)
    this.#serves = false
    this.#rpc.close()
    // What a worker that closes the port does not take any more goes to another one.
    if (!this.#toldToStop) this.#assigned.closeLast()
    const reason = this.#reason
    this.#starting.resolve({ kind: 'failed', reason: reason ?? `A worker ended at its start (${signal ?? code})` })
    return { code, signal, reason, livedMs: performance.now() - this.#startedAtMs, finalSnapshot: this.#finalSnapshot }
  }

  #send(message: FromPrimary<Config>): void {
    // A worker that has just ended is reported soon; messages to it are dropped.
    if (this.#worker.isConnected()) this.#worker.send(encoded(message), () => undefined)
  }
}

/** Within this its last messages have been read: they lie in the channel when it ends. */
const lastMessagesMs = 100

/**
 * Ends with the channel rather than the process, for the last messages. Node 26.10 (lib/internal/child_process.js) does
 * not tell of the channel's end when a connection was just being handed over, so that is waited for only shortly.
 */
async function exitOf(worker: Worker): Promise<{ code: number | null; signal: string | null }> {
  const silent = once(worker, 'disconnect')
  try {
    const [code, signal] = (await once(worker, 'exit')) as [number | null, string | null]
    await within(lastMessagesMs, silent)
    return { code, signal }
  } catch {
    // `error`: it could not be started at all.
    return { code: null, signal: null }
  } finally {
    silent.catch(() => undefined)
  }
}

/** What of a connection (Node's handle for it) is needed here. */
interface Connection {
  close(): void
}

/**
 * The connections that the primary hands to one worker. Node 26.10 (lib/internal/cluster/round_robin_handle.js,
 * nodejs/node#21746) forgets the one that a worker had not taken yet when it died: its client would wait for ever.
 * Node hands them over with `send`, one at a time, so that a look at what passes there is enough.
 */
class AssignedConnections {
  #count = 0
  #last: Connection | undefined

  /** @param onAssign called before each of them is handed over */
  constructor(worker: ChildProcess, onAssign: () => void) {
    const send = worker.send.bind(worker) as (...given: unknown[]) => boolean
    worker.send = (...given: unknown[]): boolean => {
      const [, handle] = given
      if (isConnection(handle)) {
        this.#count += 1
        this.#last = handle
        onAssign()
      }
      return send(...given)
    }
  }

  get count(): number {
    return this.#count
  }

  /** For a worker that has died: ends the connection that it may not have taken. To one that it took this is nothing. */
  closeLast(): void {
    this.#last?.close()
  }
}

function isConnection(value: unknown): value is Connection {
  return typeof value === 'object' && value !== null && 'close' in value && typeof value.close === 'function'
}
