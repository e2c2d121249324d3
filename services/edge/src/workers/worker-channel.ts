import cluster from 'node:cluster'
import type { MetricsSnapshot } from '@ipfleet/telemetry/metrics-snapshot.ts'
import { type Answerers, Correspondence } from './correspondence.ts'
import {
  type AskedOfPrimary,
  type AskedOfWorker,
  type FromPrimary,
  type FromWorker,
  type Instructions,
  opened,
  sealed,
} from './messages.ts'

export interface WorkerChannelOptions<Config> {
  /** What the primary may ask. */
  readonly answerers: Answerers<AskedOfWorker>
  readonly onInstructions: (instructions: Instructions<Config>) => void
  /** Called right before a connection comes. */
  readonly onDealt: (ordinal: number) => void
  /** The primary says so, or is gone. Called once. */
  readonly onStop: () => void
}

/** A worker's line to the primary process. */
export class WorkerChannel<Config> {
  readonly #options: WorkerChannelOptions<Config>
  readonly #letters: Correspondence<AskedOfPrimary, AskedOfWorker>
  #stopping = false

  constructor(options: WorkerChannelOptions<Config>) {
    this.#options = options
    this.#letters = new Correspondence((letter) => void this.#send(letter), options.answerers)
    process.on('message', (received) => this.#receive(received))
    cluster.worker?.on('disconnect', () => this.#primaryGone())
    void this.#send({ kind: 'hello' })
  }

  /** Undefined when the primary cannot answer or is gone. */
  ask<T extends keyof AskedOfPrimary>(
    topic: T,
    ask: AskedOfPrimary[T]['ask'],
  ): Promise<AskedOfPrimary[T]['answer'] | undefined> {
    return this.#letters.ask(topic, ask)
  }

  ready(where: { readonly host: string; readonly port: number }): Promise<void> {
    return this.#send({ kind: 'ready', host: where.host, port: where.port })
  }

  failed(reason: string): Promise<void> {
    return this.#send({ kind: 'failed', reason })
  }

  farewell(snapshot: MetricsSnapshot): Promise<void> {
    return this.#send({ kind: 'farewell', snapshot })
  }

  #receive(received: unknown): void {
    const read = opened<FromPrimary<Config>>(received)
    if (read.kind !== 'message') return
    const { message } = read
    if (message.kind === 'instructions') this.#options.onInstructions(message.instructions)
    else if (message.kind === 'dealt') this.#options.onDealt(message.ordinal)
    else if (message.kind === 'stop') this.#stop()
    else this.#letters.receive(message)
  }

  #primaryGone(): void {
    // Otherwise Node 26 (lib/internal/cluster/child.js) ends the process right after this, with all its requests.
    if (cluster.worker) cluster.worker.exitedAfterDisconnect = true
    this.#letters.close()
    this.#stop()
  }

  #stop(): void {
    if (this.#stopping) return
    this.#stopping = true
    this.#options.onStop()
  }

  /** Resolves when it is on its way, so that the process may end; or when there is nobody to send it to. */
  #send(message: FromWorker): Promise<void> {
    return new Promise((resolve) => {
      if (process.send === undefined || !process.connected) return resolve()
      process.send(sealed(message), undefined, undefined, () => resolve())
    })
  }
}
