import type { BenchReason } from '@ipfleet/key-pool/key-store.ts'
import type { Overview, Verdict } from '../contract.ts'

export interface VerdictFacts extends Pick<
  Overview,
  'keys' | 'replicas' | 'redis' | 'breakers' | 'backends' | 'sources'
> {
  /** Of the embedded database, where it answers. */
  readonly offlineWarning?: string | undefined
}

interface Trouble {
  readonly sentence: string
  readonly action: string
}

/** One sentence about the fleet. The most urgent trouble comes first: what stops look-ups, then what may stop them. */
export function verdictOf(facts: VerdictFacts): Verdict {
  const troubles = [
    ...keysOut(facts),
    ...redisDown(facts, 'state'),
    ...pausedUpstream(facts),
    ...groupsDown(facts),
    ...egressOut(facts),
    ...gone(facts),
    ...redisDown(facts, 'cache'),
    ...manyKeysOut(facts),
    ...keysRefused(facts),
    ...degraded(facts),
  ]
  const hints = hintsIn(facts)
  const [first, ...rest] = troubles
  const others = [...rest, ...hints].map(({ sentence }) => sentence)
  if (first) return { state: 'red', ...first, others }
  const action = hints[0]?.action
  return { state: 'green', sentence: wellSentence(facts), ...(action !== undefined && { action }), others }
}

const keysActions: Readonly<Record<BenchReason, string>> = {
  limited: 'Wait until then, or add keys to IPINFO_KEYS',
  exhausted: 'Add keys to IPINFO_KEYS, or buy a larger plan',
  denied: 'Check the keys in the provider’s account, and replace those that are refused',
  operator: 'Release a key',
}

const keysReasons: Readonly<Record<BenchReason, string>> = {
  limited: 'upstream answers 429 (over its rate limit)',
  exhausted: 'the quota is used up',
  denied: 'upstream refuses them (401 or 403)',
  operator: 'an operator has benched them',
}

/** The bench that most of the keys rest for. */
function mainReason(keys: VerdictFacts['keys']): BenchReason {
  const count = (reason: BenchReason): number => keys.filter((key) => key.reason === reason).length
  return (
    (['limited', 'exhausted', 'denied', 'operator'] as const).toSorted((a, b) => count(b) - count(a))[0] ?? 'limited'
  )
}

const isOut = ({ state }: VerdictFacts['keys'][number]): boolean => state === 'cooling'

function keysOut({ keys }: VerdictFacts): Trouble[] {
  if (keys.length === 0 || !keys.every(isOut)) return []
  const reason = mainReason(keys)
  const back = keys.flatMap(({ until }) => (until === undefined ? [] : [until])).toSorted()[0]
  const when = back === undefined ? '' : `; the first is back at ${clockTime(back)}`
  const subject = keys.length === 1 ? 'The only key is' : `All ${keys.length} keys are`
  return [{ sentence: `${subject} benched: ${keysReasons[reason]}${when}`, action: keysActions[reason] }]
}

/** A storm: half of the keys or more are over their limit. */
function manyKeysOut({ keys }: VerdictFacts): Trouble[] {
  const out = keys.filter(isOut)
  const reason = mainReason(out)
  if (out.length === keys.length || out.length * 2 < keys.length || reason === 'operator') return []
  const sentence = `${out.length} of ${keys.length} keys are benched: ${keysReasons[reason]}`
  return [{ sentence, action: keysActions[reason] }]
}

function keysRefused({ keys }: VerdictFacts): Trouble[] {
  const refused = keys.filter((key) => isOut(key) && key.reason === 'denied')
  if (refused.length === 0 || refused.length * 2 >= keys.length) return []
  const sentence = `Upstream refuses ${count(refused.length, 'key')} of ${keys.length}`
  return [{ sentence, action: keysActions.denied }]
}

function redisDown({ redis }: VerdictFacts, name: 'state' | 'cache'): Trouble[] {
  return redis.flatMap((row) => {
    if (row.name !== name || row.state === 'off' || (row.state === 'up' && row.reason === undefined)) return []
    const what = name === 'state' ? 'Redis is away' : 'The Redis of the answers is away'
    const limits = name === 'state' ? 'each replica works for itself' : 'replicas answer from memory and upstream'
    const sentence = `${row.state === 'up' ? what.replace('is away', 'is in trouble') : what}: ${limits}`
    return [{ sentence, action: row.reason ?? 'Start it again, or check REDIS_URL' }]
  })
}

function pausedUpstream({ breakers }: VerdictFacts): Trouble[] {
  return breakers
    .filter(({ state }) => state === 'open')
    .map(({ provider, reason }) =>
      reason === 'limited'
        ? {
            sentence: `${provider} answers 429 with every key, and is given a pause: known answers are served`,
            action: 'Ask less, or spread the requests over more source addresses (egress); it is tried again by itself',
          }
        : {
            sentence: `${provider} fails, and is given a pause: known answers are served, old ones too`,
            action: 'Check that the replicas reach it, and its status page; it is tried again by itself',
          },
    )
}

function groupsDown({ backends }: VerdictFacts): Trouble[] {
  const groups = Map.groupBy(backends, ({ edge, group }) => JSON.stringify([edge, group]))
  return [...groups.values()].flatMap((members) => {
    const [one] = members
    if (!one || members.some(({ state }) => state === 'up')) return []
    const why = members.find(({ lastError }) => lastError !== undefined)?.lastError
    const sentence = `No backend of the group ${one.group} is up at the edge ${one.edge}${why === undefined ? '' : `: ${why}`}`
    return [{ sentence, action: `Start ${one.address}, or correct the backends in the edge’s file` }]
  })
}

function egressOut({ sources }: VerdictFacts): Trouble[] {
  const pools = Map.groupBy(sources, ({ egress }) => egress)
  return [...pools].flatMap(([egress, members]) => {
    if (members.length === 0 || members.some(({ state }) => state === 'up')) return []
    const why = members.find(({ reason }) => reason !== undefined)?.reason
    const sentence = `All source addresses of the egress ${egress} are out${why === undefined ? '' : `: ${why}`}`
    return [{ sentence, action: 'Check the addresses of the machine, and the way from them to the targets' }]
  })
}

/** Unless another one of its kind was started since: that has taken its place. */
function gone({ replicas }: VerdictFacts): Trouble[] {
  const missed = replicas.filter(({ state }) => state === 'gone').toSorted((a, b) => order(b.seenAt, a.seenAt))
  const living = replicas.filter(({ state }) => state !== 'gone')
  const unmatched = missed.filter((one) => {
    const next = living.findIndex(({ service, startedAt }) => service === one.service && startedAt > one.seenAt)
    if (next >= 0) living.splice(next, 1)
    return next < 0
  })
  return unmatched.map(({ service, id, seenAt }) => ({
    sentence: `The ${service === 'lookup' ? 'replica' : service} ${id} has not been seen since ${clockTime(seenAt)}`,
    action: 'Start it again, or look at the last lines of its log; it is forgotten after an hour',
  }))
}

function degraded({ replicas, redis, backends }: VerdictFacts): Trouble[] {
  // While Redis is away all say so.
  if (redis.some(({ state }) => state === 'down')) return []
  const reasons = Map.groupBy(
    replicas.filter(
      ({ state, reason }) => state === 'degraded' && reason !== undefined && !isToldElsewhere(reason, backends),
    ),
    ({ service, reason = '' }) => `${service}: ${reason}`,
  )
  return [...reasons].map(([what, members]) => ({
    sentence: `${members.length === 1 ? members[0]?.id : `${members.length} processes`} of ${what}`,
    action: 'Look at its log and at its /health',
  }))
}

/** What the rows of keys, breakers, backends and sources tell better, and sooner. A group without any backend has no row. */
function isToldElsewhere(reason: string, backends: VerdictFacts['backends']): boolean {
  return reason.split('; ').every((one) => {
    const groups = /^no backend of (.+) is up$/.exec(one)?.[1]?.split(', ')
    if (groups) return groups.every((name) => backends.some(({ group }) => group === name))
    return ['all keys are benched', 'upstream is given a pause', 'every source address is out'].includes(one)
  })
}

/** What wants attention without being wrong yet. */
function hintsIn({ keys, offlineWarning }: VerdictFacts): Trouble[] {
  const last = keys
    .map(({ emptyOn }) => emptyOn ?? '')
    .toSorted()
    .at(-1)
  const hints: Trouble[] = []
  if (last && keys.every(({ emptyOn }) => emptyOn !== undefined)) {
    const sentence = `At this pace the last quota is used up on ${last.slice(0, 10)}`
    hints.push({ sentence, action: keysActions.exhausted })
  }
  if (offlineWarning !== undefined) {
    const sentence = `Of the embedded database: ${offlineWarning}`
    hints.push({ sentence, action: 'Set OFFLINE_DB or OFFLINE_DB_URL to newer data' })
  }
  if (keys.length === 0) {
    const sentence = 'No keys are set: the embedded database answers'
    hints.push({ sentence, action: 'Set IPINFO_KEYS=key1,key2 to ask upstream' })
  }
  return hints
}

function wellSentence({ keys, replicas }: VerdictFacts): string {
  const ready = keys.filter((key) => !isOut(key)).length
  const lookups = replicas.filter(({ service, state }) => service === 'lookup' && state !== 'gone').length
  const answers =
    keys.length === 0 ? 'answers come from the embedded database' : `${ready} of ${count(keys.length, 'key')} ready`
  return `All is well: ${answers}, ${count(Math.max(1, lookups), 'replica')}`
}

const count = (number: number, what: string): string => `${number} ${what}${number === 1 ? '' : 's'}`
const order = (one: string, other: string): number => (one < other ? -1 : one > other ? 1 : 0)
/** Of an ISO time: `12:34:56 UTC`. */
const clockTime = (iso: string): string => `${iso.slice(11, 19)} UTC`
