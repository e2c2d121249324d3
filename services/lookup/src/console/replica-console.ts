import type { IncomingMessage, ServerResponse } from 'node:http'
import type { ConsoleDeps } from '@ipfleet/console/console.ts'
import type { BreakerRow, ClientRow, FlowCounts } from '@ipfleet/console/contract.ts'
import { FlowRecorder } from '@ipfleet/console/flow/flow-recorder.ts'
import { Presence } from '@ipfleet/console/presence/presence.ts'
import { presenceId, type PresenceRecord, processFacts } from '@ipfleet/console/presence/presence-record.ts'
import { hostname } from 'node:os'
import type { ClientGuard } from '@ipfleet/rate-limit/clients/client-guard.ts'
import type { AccessLog } from '@ipfleet/telemetry/access-log.ts'
import type { Logger } from '@ipfleet/telemetry/logger.ts'
import type { Fleet } from '../fleet/fleet.ts'
import type { LookupRoutesDeps } from '../http/lookup-routes.ts'
import type { Health } from '../operations/health.ts'
import { LiveRate } from '../operations/live-rate.ts'
import type { RequestRecord } from '../operations/request-record.ts'
import type { LookupSettings } from '../settings.ts'
import { chosenProviders } from '../upstream/chosen-providers.ts'
import type { UpstreamStack } from '../upstream/upstream-stack.ts'
import { consoleLookUp } from './console-look-up.ts'

export interface ReplicaConsoleDeps {
  readonly settings: LookupSettings
  readonly fleet: Fleet
  readonly upstream: UpstreamStack | undefined
  readonly health: Health
  /** Those of the look-ups' routes: the console's are counted and bounded with them. */
  readonly lookups: Pick<LookupRoutesDeps, 'lookup' | 'record' | 'clients' | 'bodies' | 'clientAddress'>
  readonly accessLog: AccessLog
  readonly logger: Logger
}

/**
 * What this replica tells its own console, and, by Redis, the consoles of the others: what it counts, and that it is
 * there. The console itself is loaded when it is asked for.
 */
export class ReplicaConsole {
  readonly #deps: ReplicaConsoleDeps
  readonly #flow: FlowRecorder
  readonly #rate: LiveRate
  readonly #closing = new AbortController()
  #port = 0
  #presence: Presence | undefined

  constructor(deps: ReplicaConsoleDeps) {
    const { fleet, lookups } = deps
    const { record } = lookups
    this.#deps = deps
    this.#rate = new LiveRate(() => record.total)
    this.#flow = new FlowRecorder({
      link: fleet.redis?.state,
      totals: () => flowIn(record.lookUps),
      epochMs: () => fleet.clock.epochMs(),
    })
  }

  /** What the console is made of, once it is opened. */
  parts(): Omit<ConsoleDeps, 'operations'> {
    const { settings, fleet, upstream, lookups, health, accessLog, logger } = this.#deps
    const { clients, bodies, clientAddress } = lookups
    const keys = async () => (await upstream?.quota.admin.rows()) ?? []
    const keyClass = async (id: string) => {
      const row = (await keys()).find((one) => one.id === id)
      return row && (row.group ?? row.provider ?? chosenProviders(settings).first.name)
    }
    return {
      adminToken: settings.ADMIN_TOKEN,
      readToken: settings.CONSOLE_READ_TOKEN,
      redis: fleet.redis,
      epochMs: () => fleet.clock.epochMs(),
      flow: this.#flow,
      price:
        settings.UNIT_PRICE === undefined ? undefined : { perUnit: settings.UNIT_PRICE, currency: settings.CURRENCY },
      keys,
      clients: async () => ((await clients?.all()) ?? []).map((row) => clientRow(row, fleet.clock.epochMs())),
      offlineWarning: () => health.offline?.warning,
      self: () => this.#self(),
      lookUp: (query) => consoleLookUp({ ...lookups, keyClass }, query),
      clientAddress,
      readBody: (req: IncomingMessage, res: ServerResponse, maxBytes: number) =>
        bodies.read(req, res, { maxBytes, client: clientAddress(req) }),
      onFailed: accessLog.failed,
      closing: this.#closing.signal,
      logger,
    }
  }

  /** From now on the fleet knows of this replica. */
  opened(port: number): void {
    this.#port = port
    const link = this.#deps.fleet.redis?.state
    if (!link) return
    const describe = () => this.#describe()
    this.#presence = new Presence({ link, id: presenceId(port), service: 'lookup', describe })
  }

  /** Ends streams, which would hold up the end of the server. */
  endStreams(): void {
    this.#closing.abort()
  }

  async close(): Promise<void> {
    await this.#presence?.close()
    await this.#flow.close()
  }

  async #self(): Promise<PresenceRecord> {
    const id = this.#port === 0 ? hostname() : presenceId(this.#port)
    return { id, service: 'lookup', ...processFacts(), ...(await this.#describe()) }
  }

  async #describe() {
    const { status, reason } = await this.#deps.health.report()
    return {
      state: status,
      ...(reason !== undefined && { reason }),
      requestsPerSecond: Math.round(this.#rate.perSecond() * 10) / 10,
      breakers: this.#breakers(),
    }
  }

  #breakers(): BreakerRow[] {
    const { providers = [] } = this.#deps.upstream ?? {}
    return providers.map(({ name: provider, gate: { state, openCause } }) => ({
      provider,
      state,
      ...(openCause !== undefined && { reason: openCause }),
    }))
  }
}

function flowIn(ends: RequestRecord['lookUps']): FlowCounts {
  const { l1, stale, l2, collapsed, upstream, bypass, offline, local, error } = ends
  const answered = l1 + stale + l2 + collapsed + upstream + bypass + offline + local
  return {
    asked: answered + error,
    memory: l1 + stale,
    redis: l2,
    coalesced: collapsed,
    upstream: upstream + bypass,
    offline: offline + local,
    failed: error,
  }
}

function clientRow({ id, budget, usage }: Awaited<ReturnType<ClientGuard['all']>>[number], nowMs: number): ClientRow {
  if (budget === undefined || usage === undefined) return { id }
  const { used, limit, reset_seconds: seconds } = usage
  return { id, budget, used, limit, resets: new Date(nowMs + seconds * 1000).toISOString() }
}
