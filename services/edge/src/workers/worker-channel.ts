import cluster from 'node:cluster'
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

export interface WorkerChannelOptions<Config> {
  /** What the primary may ask. */
  readonly handlers: RpcHandlers<WorkerMethods>
  readonly onInstructions: (instructions: Instructions<Config>) => void
  /** Called right before a connection comes. */
  readonly onAssigned: (ordinal: number) => void
  /** The primary says so, or is gone. Called once. */
  readonly onStop: () => void
}

/** A worker's line to the primary process. */
export class WorkerChannel<Config> {
  readonly #options: WorkerChannelOptions<Config>
  readonly #rpc: Rpc<PrimaryMethods, WorkerMethods>
  #stopping = false

  constructor(options: WorkerChannelOptions<Config>) {
    this.#options = options
    this.#rpc = new Rpc((message) => void this.#send(message), options.handlers)
    process.on('message', (received) => this.#receive(received))
    cluster.worker?.on('disconnect', () => this.#primaryGone())
    void this.#send({ kind: 'hello' })
  }

  /** Undefined when the primary cannot answer or is gone. */
  call<T extends keyof PrimaryMethods>(
    method: T,
    params: PrimaryMethods[T]['params'],
  ): Promise<PrimaryMethods[T]['result'] | undefined> {
    return this.#rpc.call(method, params)
  }

  ready(where: { readonly host: string; readonly port: number }): Promise<void> {
    return this.#send({ kind: 'ready', host: where.host, port: where.port })
  }

  failed(reason: string): Promise<void> {
    return this.#send({ kind: 'failed', reason })
  }

  finalSnapshot(snapshot: MetricsSnapshot): Promise<void> {
    return this.#send({ kind: 'final-snapshot', snapshot })
  }

  #receive(received: unknown): void {
    const read = decoded<FromPrimary<Config>>(received)
    if (read.kind !== 'message') return
    const { message } = read
    if (message.kind === 'instructions') this.#options.onInstructions(message.instructions)
    else if (message.kind === 'assigned') this.#options.onAssigned(message.ordinal)
    else if (message.kind === 'stop') this.#stop()
    else this.#rpc.receive(message)
  }

  #primaryGone(): void {
    // Otherwise Node 26 (lib/internal/cluster/child.js) ends the process right after this, with all its requests.
    if (cluster.worker) cluster.worker.exitedAfterDisconnect = true
    this.#rpc.close()
    this.#stop()
  }

  #stop(): void {
    if (this.#stopping) return
    this.#stopping = true
    this.#options.onStop()
  }

  /** Resolves when it is on its way, so that the process may end; or when there is no primary to send it to. */
  #send(message: FromWorker): Promise<void> {
    return new Promise((resolve) => {
      if (process.send === undefined || !process.connected) return resolve()
      process.send(encoded(message), undefined, undefined, () => resolve())
    })
  }
}
