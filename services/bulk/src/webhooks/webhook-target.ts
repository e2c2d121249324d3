import type { Clock } from '@ipfleet/core/clock.ts'
import { ProxyError } from '@ipfleet/core/proxy-error.ts'
import { TargetPolicy } from '@ipfleet/net/target-policy.ts'
import { type LookUp, NameLookups, systemLookUp } from '@ipfleet/net/name-lookups.ts'
import type { OwnAddresses } from '@ipfleet/net/own-addresses.ts'
import type { PortRange } from '@ipfleet/net/port-ranges.ts'
import { readHost } from '@ipfleet/net/authority.ts'
import { TargetList } from '@ipfleet/net/target-list.ts'
import type { Target, TargetVerdict } from '@ipfleet/net/target.ts'

/** As CONNECT in the egress. At other ports there may be a mail server that takes the body for commands. */
const ports: readonly PortRange[] = [
  { from: 80, to: 80 },
  { from: 443, to: 443 },
  { from: 1024, to: 65_535 },
]

const lookUpTimeoutMs = 5000

export interface WebhookPolicyDeps {
  /** Items as `readTargetItem` gives them. */
  readonly allow: readonly string[]
  readonly deny: readonly string[]
  readonly own: OwnAddresses
  readonly clock: Clock
  /** Default: as the system does it. */
  readonly lookUp?: LookUp
}

/** Webhooks may go where the egress lets its clients go. */
export function webhookPolicy({ allow, deny, own, clock, lookUp = systemLookUp }: WebhookPolicyDeps): TargetPolicy {
  return new TargetPolicy({
    connectPorts: ports,
    allow: new TargetList(allow),
    deny: new TargetList(deny),
    own,
    names: new NameLookups({ lookUp, clock, timeoutMs: lookUpTimeoutMs }),
  })
}

/** The target of a URL; undefined when its host is neither a name nor an address. */
export function webhookTarget({ hostname, port, protocol }: URL): Target | undefined {
  const host = readHost(hostname)
  const defaultPort = protocol === 'https:' ? 443 : 80
  return host === undefined ? undefined : { ...host, port: port === '' ? defaultPort : Number(port) }
}

/** The addresses of a URL that may be dialled now. Ports are checked as for CONNECT. */
export async function judgeWebhook(policy: TargetPolicy, url: URL): Promise<TargetVerdict> {
  const target = webhookTarget(url)
  return target === undefined ? { kind: 'refused', reason: 'denied' } : policy.judge(target, 'connect')
}

type Refusal = Extract<TargetVerdict, { kind: 'refused' }>['reason']

const why: Readonly<Record<Refusal, string>> = {
  port: 'must be at port 80 or 443, or at one from 1024 on',
  denied: 'is at a host that this service does not call',
  private: 'must be at a public address',
  own: 'must not lead back to this service',
}

/**
 * Refuses callbacks that would never be delivered. Each delivery judges again, since names change their addresses; a name
 * without addresses may have some by then.
 * @throws ProxyError `target_refused`
 */
export async function checkCallback(policy: TargetPolicy, url: URL): Promise<void> {
  const verdict = await judgeWebhook(policy, url)
  if (verdict.kind !== 'refused') return
  throw new ProxyError('target_refused', { message: `The callback ${why[verdict.reason]}`, detail: verdict.reason })
}

const maxCallbackLength = 2048

/** Reads `?callback=`. Credentials belong in the signature, and a fragment is not sent. @throws ProxyError `bad_request` */
export function readCallback(given: unknown): URL {
  if (typeof given !== 'string' || given === '') throw unfit('must be one http or https URL')
  if (given.length > maxCallbackLength) throw unfit(`must be at most ${maxCallbackLength} characters long`)
  // WHATWG URL drops some of these silently, so that another URL would be called.
  if (/[\s\p{Cc}\\]/u.test(given)) throw unfit('must hold no spaces, control characters or backslashes')
  const url = URL.parse(given)
  if (url === null) throw unfit('is no URL')
  if (url.protocol !== 'https:' && url.protocol !== 'http:') throw unfit('must begin with https:// or http://')
  if (url.username !== '' || url.password !== '') throw unfit('must hold no user name or password')
  if (given.includes('#')) throw unfit('must hold no fragment (#)')
  if (webhookTarget(url) === undefined) throw unfit('must have a host that is a name or an address')
  // Encoding makes other characters than ASCII longer.
  if (url.href.length > maxCallbackLength) throw unfit(`must be at most ${maxCallbackLength} characters long`)
  return url
}

/** As the job's client sees it: without the query, which may hold secrets. @param url of `readCallback` */
export function shownCallback(url: string): string {
  const { origin, pathname } = new URL(url)
  return origin + pathname
}

function unfit(what: string): ProxyError {
  return new ProxyError('bad_request', { message: `The callback ${what}` })
}
