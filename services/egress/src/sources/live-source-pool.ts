import { createHash } from 'node:crypto'
import { EventEmitter } from 'node:events'
import type { Clock } from '@ipfleet/core/clock.ts'
import { luaCommand } from '@ipfleet/redis/lua-command.ts'
import type { RedisLink } from '@ipfleet/redis/redis-link.ts'
import type { Subscriber } from '@ipfleet/redis/subscriber.ts'
import { CheckRounds, type SourceKind } from './check-rounds.ts'
import type { PoolEntry } from './ip-pool.ts'
import { LiveSource } from './live-source.ts'
import { LeastRecentlyUsed, RandomTurns, type Rotation, type RotationName, RoundRobin } from './rotations.ts'
import { sessionEntropy, sessionName, sessionSource } from './session-source.ts'
import { SharedBenches } from './shared-benches.ts'
import { SiteBenches } from './site-benches.ts'
import type {
  Session,
  Source,
  SourceCheck,
  SourceChoice,
  SourceOutcome,
  SourcePool,
  SourceRequest,
} from './source-pool.ts'
import type { OutReason } from './source-health.ts'
import { wholeSeconds } from '@ipfleet/core/whole-seconds.ts'

const takeRoundStart = luaCommand(new URL('take-round-start.lua', import.meta.url))
const rememberStartsMs = 30 * 86_400_000
/** What a replica reports of an address expires after so many of its check intervals. */
const outLastsChecks = 3

export interface LiveSourcePoolOptions {
  readonly entries: readonly PoolEntry[]
  readonly rotation: RotationName
  readonly checkIntervalMs: number
  /** SITE_BENCH_SECONDS; 0: no source is benched. */
  readonly siteBenchMs: number
}

export interface LiveSourcePoolDeps {
  readonly check: SourceCheck
  /** `epochMs`: the fleet's time, by which sessions end. */
  readonly clock: Clock & { epochMs(): number }
  /** Undefined without Redis. Closed by the caller. */
  readonly fleet?: { readonly link: RedisLink; readonly subscriber: Subscriber } | undefined
  readonly random?: () => number
}

interface LiveSourcePoolEvents {
  /** The address, or the prefix. */
  out: [address: string, reason: OutReason, detail: string | undefined]
  back: [address: string]
  /** This machine lacks it. Emitted each time. */
  notOurs: [address: string]
  siteBenched: [address: string, site: string]
  /** What sources are checked with is not reached from any of this kind. */
  targetLost: [kind: SourceKind, reason: string]
  targetBack: [kind: SourceKind]
}

/** The state of what one item of IP_POOL lists. */
export interface SourceStatus {
  readonly listedAs: string
  /** Whether any of it is in rotation. */
  readonly isUp: boolean
  /** Where none is. */
  readonly reason?: OutReason | undefined
}

interface FamilySources {
  readonly sources: readonly LiveSource[]
  readonly rotation: Rotation
  /** For its keys in Redis: the same on all replicas with the same sources in the same order. */
  readonly name: string
}

/** Source addresses with their rotation, health and benches; shared with the fleet where there is one. */
export class LiveSourcePool extends EventEmitter<LiveSourcePoolEvents> implements SourcePool {
  readonly #deps: LiveSourcePoolDeps
  readonly #random: () => number
  readonly #sources: readonly LiveSource[]
  readonly #byFamily: ReadonlyMap<4 | 6, FamilySources>
  readonly #byId: ReadonlyMap<string, LiveSource>
  readonly #sites: SiteBenches
  readonly #shared: SharedBenches | undefined
  readonly #checks: CheckRounds
  readonly #outMs: number

  constructor(options: LiveSourcePoolOptions, deps: LiveSourcePoolDeps) {
    super()
    const { check, clock, fleet, random = Math.random } = deps
    this.#deps = deps
    this.#random = random
    this.#sources = options.entries.map((entry) => new LiveSource(entry, clock))
    this.#byId = new Map(this.#sources.map((source) => [source.entry.id, source]))
    this.#byFamily = new Map(([4, 6] as const).flatMap((family) => this.#familySources(family, options.rotation)))
    this.#sites = new SiteBenches({ benchMs: options.siteBenchMs }, clock)
    this.#shared = fleet && new SharedBenches(fleet.link, fleet.subscriber)
    this.#checks = new CheckRounds(this.#sources, { check, clock, random, intervalMs: options.checkIntervalMs })
    this.#outMs = outLastsChecks * options.checkIntervalMs
    this.#connect()
  }

  /**
   * Starts the checks and the subscription. Resolves when the findings of the fleet are known, or Redis did not answer in
   * time; `next` may be called before.
   */
  async start(): Promise<void> {
    this.#checks.start()
    await Promise.all([this.#shared?.start(), this.#takeStarts()])
  }

  next(request: SourceRequest): SourceChoice | Promise<SourceChoice> {
    const choices = request.families
      .map((family) => this.#byFamily.get(family))
      .filter((sources) => sources !== undefined)
    if (choices.length === 0) return { kind: 'no_family' }
    if (request.chosen !== undefined) return this.#chosen(choices, request, request.chosen)
    return request.session === undefined
      ? this.#inTurn(choices, request)
      : this.#ofSession(choices, request, request.session)
  }

  report(source: Source, site: string, outcome: SourceOutcome, detail?: string): void {
    const live = this.#byId.get(source.address) ?? this.#byId.get(source.listedAs)
    if (live === undefined) return
    if (outcome === 'not_ours') live.health.isNotOurs()
    if (outcome === 'parent_failed') live.health.failed(outcome, detail)
    if (outcome === 'connected' && live.entry.kind === 'parent') live.health.succeeded()
    const { id } = live.entry
    if (!this.#sites.report(id, site, outcome)) return
    this.emit('siteBenched', id, site)
    const remainingMs = this.#sites.backInMs(id, site)
    void this.#shared?.holdSites([{ id, site, remainingMs }])
  }

  /** For metrics. */
  snapshot(): readonly SourceStatus[] {
    const entries = Map.groupBy(this.#sources, ({ entry }) => entry.listedAs)
    return [...entries].map(([listedAs, sources]) => {
      const isUp = sources.some(({ health }) => !health.isOut)
      return { listedAs, isUp, reason: isUp ? undefined : sources[0]?.health.outReason }
    })
  }

  /** No event follows. */
  close(): void {
    this.#checks.close()
    this.#shared?.close()
    for (const { health } of this.#sources) health.close()
    this.removeAllListeners()
  }

  #familySources(family: 4 | 6, rotation: RotationName): readonly (readonly [4 | 6, FamilySources])[] {
    const sources = this.#sources.filter((source) => source.serves(family))
    if (sources.length === 0) return []
    const ids = sources.map(({ entry }) => entry.id).join(',')
    const name = createHash('sha256').update(ids).digest('hex').slice(0, 16)
    return [[family, { sources, name, rotation: this.#rotationOf(sources, rotation, name) }]]
  }

  #rotationOf(sources: readonly LiveSource[], rotation: RotationName, name: string): Rotation {
    if (rotation === 'random') return new RandomTurns(sources, this.#random)
    if (rotation === 'round-robin') return new RoundRobin(sources, Math.floor(this.#random() * sources.length))
    const link = this.#deps.fleet?.link
    return new LeastRecentlyUsed(sources, link && { link, key: link.names.key('egress', name, 'uses') })
  }

  #connect(): void {
    for (const { health, entry } of this.#sources) {
      health.on('out', (reason, detail) => this.emit('out', entry.id, reason, detail))
      health.on('back', () => this.emit('back', entry.id))
      health.on('notOurs', () => this.emit('notOurs', entry.id))
    }
    this.#checks.on('targetLost', (kind, reason) => this.emit('targetLost', kind, reason))
    this.#checks.on('targetBack', (kind) => this.emit('targetBack', kind))
    const shared = this.#shared
    if (shared === undefined) return
    this.#checks.on('failing', ({ entry }) => shared.holdOut(entry.id, this.#outMs))
    this.#checks.on('recovered', ({ entry }) => shared.endOut(entry.id))
    shared.on('out', (id, remainingMs) => this.#byId.get(id)?.health.heardOut(remainingMs))
    shared.on('siteBench', (bench) => {
      if (this.#byId.has(bench.id) && this.#sites.hold(bench)) this.emit('siteBenched', bench.id, bench.site)
    })
    shared.on('returned', () => {
      for (const { health, entry } of this.#sources) if (health.isFailing) shared.holdOut(entry.id, this.#outMs)
      void shared.holdSites(this.#sites.running())
    })
  }

  /** Takes where each round robin begins from the fleet; one that has begun meanwhile goes on as it is. */
  async #takeStarts(): Promise<void> {
    const link = this.#deps.fleet?.link
    if (link === undefined) return
    if (!link.up) return void link.once('up', () => void this.#takeStarts())
    for (const { rotation, name } of this.#byFamily.values()) {
      if (!(rotation instanceof RoundRobin)) continue
      try {
        const key = link.names.key('egress', name, 'starts')
        rotation.startAt(Number(await link.lua(takeRoundStart, [key], [rememberStartsMs])))
      } catch {
        // It begins at random.
      }
    }
  }

  #inTurn(choices: readonly FamilySources[], request: SourceRequest): SourceChoice | Promise<SourceChoice> {
    const [first, ...others] = choices
    if (first === undefined) return this.#allOut(request)
    const chosen = first.rotation.next((source) => this.#isUsable(source, request))
    const orOther = (source: LiveSource | undefined) => (source ? choiceOf(source) : this.#inTurn(others, request))
    return chosen instanceof Promise ? chosen.then(orOther) : orOther(chosen)
  }

  #chosen(choices: readonly FamilySources[], request: SourceRequest, name: string): SourceChoice {
    const all = this.#sources.find((source) => source.named(name) !== undefined)
    if (all === undefined) return { kind: 'unknown_source' }
    const live = choices.flatMap(({ sources }) => sources).find((source) => source.named(name) !== undefined)
    const source = live?.named(name)
    if (live === undefined || source === undefined) return { kind: 'no_family' }
    return this.#isUsable(live, request) ? { kind: 'source', source } : { kind: 'session_lost' }
  }

  #ofSession(choices: readonly FamilySources[], request: SourceRequest, session: Session): SourceChoice {
    const name = sessionName(session, this.#deps.clock.epochMs())
    const isUsable = (source: LiveSource): boolean => this.#isUsable(source, request)
    for (const { sources } of choices) {
      const source = sessionSource(sources, name, session.hard ? () => true : isUsable)
      if (source !== undefined && isUsable(source)) return choiceOf(source, sessionEntropy(name))
      if (session.hard) return { kind: 'session_lost' }
    }
    return this.#allOut(request)
  }

  #isUsable(source: LiveSource, { site, tried }: SourceRequest): boolean {
    return !source.health.isOut && !this.#sites.isBenched(source.entry.id, site) && !source.isAmong(tried)
  }

  #allOut({ families, site }: SourceRequest): SourceChoice {
    const checkInMs = this.#checks.dueInMs
    const waitsMs = this.#sources
      .filter((source) => families.some((family) => source.serves(family)))
      .map(({ health, entry }) => Math.max(health.backInMs(checkInMs), this.#sites.backInMs(entry.id, site)))
    return { kind: 'all_out', retryAfterSeconds: wholeSeconds(Math.min(...waitsMs)) }
  }
}

function choiceOf(source: LiveSource, entropy?: (id: string) => Uint8Array): SourceChoice {
  return { kind: 'source', source: source.source(entropy) }
}
