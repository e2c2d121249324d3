import { AnswerCache } from '@ipfleet/cache/answer-cache.ts'
import type { LruStore } from '@ipfleet/cache/lru-store.ts'
import type { OfflineDb } from '@ipfleet/offline/offline-db.ts'
import { BatchLookup } from './batch-lookup.ts'
import type { FleetParts } from '../fleet/fleet.ts'
import { Lookup } from './lookup.ts'
import { isPoorer } from '../upstream/richness.ts'
import type { LookupSettings } from '../settings.ts'
import type { UpstreamParts } from '../upstream/upstream-parts.ts'

export interface LookupPartsSources {
  readonly fleet: FleetParts
  readonly upstream: UpstreamParts | undefined
  readonly offline: OfflineDb
  readonly memory: LruStore
}

/** The use cases, single and batch, over one cache: what one of them looks for the other does not look for again. */
export function lookupParts(
  settings: LookupSettings,
  { fleet, upstream, offline, memory }: LookupPartsSources,
): { readonly lookup: Lookup; readonly batchLookup: BatchLookup } {
  const cacheRules = {
    staleForMs: settings.STALE_IF_ERROR_SECONDS * 1000,
    revalidateForMs: settings.STALE_WHILE_REVALIDATE_SECONDS * 1000,
    ...(settings.PLAN_PREFERENCE === 'richest' && { isPoorer }),
  }
  const cache = new AnswerCache({ memory, shared: fleet.shared, flight: fleet.flight, ...cacheRules })
  fleet.generation.onPurge(() => cache.forget())
  const rules = { offline, requestTimeoutMs: settings.REQUEST_TIMEOUT_MS, failureMode: settings.FAILURE_MODE }
  return {
    lookup: new Lookup({ cache, upstream: upstream?.loader, together: upstream?.microBatcher, ...rules }),
    batchLookup: new BatchLookup({
      cache,
      loader: upstream?.batchLoader,
      isShared: fleet.redis !== undefined,
      ...rules,
    }),
  }
}
