import { createHash, randomUUID } from 'node:crypto'
import { EventEmitter } from 'node:events'
import { existsSync } from 'node:fs'
import { mkdir, open, readdir, rename, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { errorCode } from '@ipfleet/core/error-code.ts'
import { between } from '@ipfleet/core/jitter.ts'
import { type DatabaseSource, DownloadFailed, downloadDatabase } from './database-download.ts'
import { probeDatabase } from './database-probe.ts'
import { readRenewalRecord, type RenewalRecord, writeRenewalRecord } from './renewal-record.ts'
import { leaseMs, type RenewalTurns } from './renewal-turns.ts'

export interface RenewalDeps {
  readonly source: DatabaseSource
  /** Files are kept there. Replicas may share it. */
  readonly directory: string
  readonly turns: RenewalTurns
  /** ms since 1970, which outlives processes. */
  readonly wallMs?: () => number
}

interface RenewalEvents {
  /** A newer file is in its place. */
  renewed: [database: { readonly type: string; readonly builtAt: Date }]
  /** The source has nothing newer. */
  unchanged: []
  /** The file that is there stays. The message holds no secret. */
  failed: [reason: string]
}

const dayMs = 86_400_000
const hourMs = 3_600_000
/** How often the directory and the fleet are asked at least whether a try is due. */
const lookEveryMs = 10 * 60_000
const downloadLimitMs = 30 * 60_000
/** Databases shrink to a third or a tenth; a bomb to a thousandth. */
const maxRatio = 100

/**
 * Keeps a database in a directory up to date. It asks once a day, or an hour after a failure, and in a fleet one replica
 * for all that share the directory. A file gets its name when it is whole, open, and no older than the one before it.
 */
export class DatabaseRenewal extends EventEmitter<RenewalEvents> {
  /** The database: there from the first renewal on. */
  readonly path: string
  readonly #deps: Required<RenewalDeps>
  readonly #recordPath: string
  readonly #sourceId: string
  readonly #stop = new AbortController()
  #timer: NodeJS.Timeout | undefined
  #looking: Promise<unknown> = Promise.resolve()

  constructor(deps: RenewalDeps) {
    super()
    this.#deps = { wallMs: Date.now, ...deps }
    const { source, directory } = deps
    this.path = join(directory, `renewed-${hashed(source.url)}.mmdb`)
    this.#recordPath = `${this.path}.json`
    this.#sourceId = sourceIdOf(source)
  }

  start(): void {
    this.#looking = this.look().then((waitMs) => {
      if (this.#stop.signal.aborted) return
      const pauseMs = Math.min(waitMs, lookEveryMs)
      this.#timer = setTimeout(() => this.start(), between(pauseMs, 1.1 * pauseMs)).unref()
    })
  }

  /** What is under way is given up. */
  async close(): Promise<void> {
    clearTimeout(this.#timer)
    this.#stop.abort(new DownloadFailed('the replica stops'))
    await this.#looking
    this.removeAllListeners()
  }

  /** Renews the file if that is due. Never rejects. @returns ms until it may be due again */
  async look(): Promise<number> {
    const { turns, wallMs } = this.#deps
    const record = await this.#record()
    const waitMs = (record?.nextMs ?? 0) - wallMs()
    // A next try further away than any pause is of a clock that was wrong.
    if (waitMs > 0 && waitMs <= dayMs + hourMs) return waitMs
    const turnMs = await turns.claim(record?.version)
    if (turnMs > 0) return turnMs
    const prolonging = setInterval(() => void turns.prolong(), leaseMs / 3)
    let [pauseMs, version] = [hourMs, record?.version]
    try {
      ;({ pauseMs, version } = await this.#renew(record))
    } catch (error) {
      this.#failed(reasonOf(error, this.#deps.directory))
    } finally {
      clearInterval(prolonging)
      await turns.report(this.#stop.signal.aborted ? 0 : pauseMs, version)
    }
    return pauseMs
  }

  /** What the directory knows of this source; nothing if the file that it tells of is gone. */
  async #record(): Promise<RenewalRecord | undefined> {
    const record = await readRenewalRecord(this.#recordPath)
    if (record?.source !== this.#sourceId) return undefined
    return record.version === undefined || existsSync(this.path) ? record : undefined
  }

  async #renew(record: RenewalRecord | undefined) {
    const { source, directory, wallMs } = this.#deps
    const part = join(directory, `${randomUUID()}.part`)
    await mkdir(directory, { recursive: true })
    await removeParts(directory, wallMs())
    let { etag, version } = record ?? {}
    let pauseMs = between(hourMs, 1.1 * hourMs)
    try {
      const signal = AbortSignal.any([this.#stop.signal, AbortSignal.timeout(downloadLimitMs)])
      const download = await downloadDatabase({ source, etag, path: part, signal })
      pauseMs = between(dayMs, dayMs + hourMs)
      if (download.kind === 'unchanged') {
        if (etag === version) this.emit('unchanged')
        else this.#failed('the source still has the file that was refused')
      } else {
        etag = download.etag
        if (await this.#take(part)) version = etag ?? `sha256:${download.sha256}`
      }
    } catch (error) {
      if (!(error instanceof DownloadFailed) || this.#stop.signal.aborted) throw error
      this.#failed(error.message)
    } finally {
      await Promise.all([part, `${part}.mmdb`].map((path) => rm(path, { force: true })))
    }
    await writeRenewalRecord(this.#recordPath, { source: this.#sourceId, etag, version, nextMs: wallMs() + pauseMs })
    return { pauseMs, version }
  }

  /** Puts the downloaded file in the place of the one before it, if it is good and no older. */
  async #take(part: string): Promise<boolean> {
    const { source, directory } = this.#deps
    const limits = { maxBytes: source.maxBytes, maxRatio }
    const files = { from: part, to: `${part}.mmdb`, before: this.path }
    const result = await probeDatabase({ ...files, limits }, this.#stop.signal)
    if (result.kind === 'refused') {
      this.#failed(`the file ${result.reason}`)
      return false
    }
    await rename(`${part}.mmdb`, this.path)
    await synced(directory)
    this.emit('renewed', { type: result.type, builtAt: new Date(result.builtMs) })
    return true
  }

  #failed(reason: string): void {
    if (!this.#stop.signal.aborted) this.emit('failed', reason)
  }
}

const hashed = (text: string): string => createHash('sha256').update(text).digest('hex').slice(0, 16)

/** Another for another token too: after a refusal a corrected one is tried at once. */
export const sourceIdOf = ({ url, token = '', checksumUrl = '' }: DatabaseSource): string =>
  hashed([url, token, checksumUrl].join('\n'))

/** What a process that was killed has left behind. A download ends within half an hour. */
async function removeParts(directory: string, nowMs: number): Promise<void> {
  const parts = (await readdir(directory)).filter((name) => /^[\da-f-]{36}\.part(\.mmdb)?$/.test(name))
  for (const name of parts) {
    const path = join(directory, name)
    // oxlint-disable-next-line no-await-in-loop -- there are none, or a few
    await removeOld(path, nowMs)
  }
}

async function removeOld(path: string, nowMs: number): Promise<void> {
  const looks = await stat(path).catch(() => undefined)
  if (looks && nowMs - looks.mtimeMs > 2 * downloadLimitMs) await rm(path, { force: true })
}

/** A name is on the disk when its directory is. */
async function synced(directory: string): Promise<void> {
  const handle = await open(directory)
  await handle.sync().finally(() => handle.close())
}

function reasonOf(error: unknown, directory: string): string {
  const code = errorCode(error) ?? (error instanceof Error ? error.name : 'unknown')
  return `OFFLINE_DB_DIR=${directory} cannot be written (${code}); set it to a directory that this process may write to`
}
