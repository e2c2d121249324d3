import type { Callback, CallbackState, Job, JobState } from './job.ts'

type Fields = Readonly<Record<string, string>>

/** A job from its hash in Redis; undefined when there is none. @param nowMs since 1970, by the clock of Redis */
export function jobOf(id: string, record: Fields, nowMs: number): Job | undefined {
  const { state, owner, holder, created, started, finished, expires, fields, waiting, fingerprint, report } = record
  if (state === undefined || owner === undefined || created === undefined) return undefined
  const count = (name: string): number => Number(record[name] ?? 0)
  const callback = callbackOf(record)
  return {
    id,
    state: state as JobState,
    owner,
    // Jobs of releases before 0.2 have none.
    holder: holder ?? owner,
    createdMs: Number(created),
    ...(started !== undefined && { startedMs: Number(started) }),
    ...(finished !== undefined && { finishedMs: Number(finished) }),
    ...(expires !== undefined && { expiresMs: Number(expires) }),
    lines: {
      total: count('lines'),
      done: count('done'),
      answered: count('answered'),
      errors: count('errors'),
      cached: count('cached'),
    },
    chunks: { total: count('chunks'), done: count('chunks:done') },
    errors: errorsOf(record),
    ...(fields !== undefined && { fields: JSON.parse(fields) as string[] }),
    ...(callback && { callback }),
    isWaitingForRoom: waiting === 'storage',
    rate: rateOf(record, nowMs),
    storedBytes: count('stored:inputs') + count('stored:results') + count('stored:summaries'),
    ...(report !== undefined && { reportId: report }),
    ...(fingerprint !== undefined && { fingerprint }),
  }
}

function callbackOf(record: Fields): Callback | undefined {
  const url = record['callback:url']
  if (url === undefined) return undefined
  const reason = record['callback:reason']
  return {
    url,
    state: record['callback:state'] as CallbackState,
    attempts: Number(record['callback:attempts']),
    ...(reason && { reason }),
  }
}

function errorsOf(record: Fields): Record<string, number> {
  const prefix = 'error:'
  const names = Object.keys(record).filter((name) => name.startsWith(prefix))
  return Object.fromEntries(names.map((name) => [name.slice(prefix.length), Number(record[name])]))
}

/** While the job runs, since the mark before the last one, so over the last 5 to 10 seconds. At the end, over all. */
function rateOf(record: Fields, nowMs: number): number {
  const done = Number(record['done'] ?? 0)
  const started = Number(record['started'] ?? 0)
  if (started === 0 || done === 0) return 0
  if (record['finished'] !== undefined) return perSecond(done, Number(record['finished']) - started)
  const sinceMs = Number(record['before:ms'] ?? record['mark:ms'] ?? started)
  const before = Number(record['before:done'] ?? record['mark:done'] ?? 0)
  return perSecond(done - before, Math.max(nowMs, Number(record['moved'] ?? 0)) - sinceMs)
}

function perSecond(lines: number, durationMs: number): number {
  return lines / (Math.max(durationMs, 1) / 1000)
}
