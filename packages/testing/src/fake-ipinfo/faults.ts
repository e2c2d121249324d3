import { bodyOf, refusals } from './answer.ts'
import { type FakeCall, pathnameOf } from './call-log.ts'
import type { FakeHost } from './request.ts'

/** How the fake misbehaves. Sizes are bytes on the wire, but a gzip bomb's, which are bytes after inflation. */
export type Fault =
  | { readonly kind: 'latency'; readonly ms: number }
  /** Any status; a body that is not text is sent as JSON. */
  | {
      readonly kind: 'status'
      readonly status: number
      readonly body?: unknown
      readonly headers?: Readonly<Record<string, string>>
    }
  /** Accepts and never answers. */
  | { readonly kind: 'hang' }
  /** The headers, then nothing. */
  | { readonly kind: 'hang-after-headers' }
  /** The true answer, one byte every `everyMs`. */
  | { readonly kind: 'drip'; readonly everyMs: number }
  /** RST instead of an answer. */
  | { readonly kind: 'reset' }
  /** Half of the true answer, then RST. */
  | { readonly kind: 'reset-mid-body' }
  /** 200 `application/json` that is no JSON. */
  | { readonly kind: 'garbage' }
  | { readonly kind: 'html' }
  /** A page of something in front of IPinfo, which keeps clients out. Status 403 unless told. */
  | { readonly kind: 'wall'; readonly status?: number }
  /** The true answer with more fields, such as `cache-control`. */
  | { readonly kind: 'fields'; readonly headers: Readonly<Record<string, string>> }
  /** Status 200 with a rate limit's error as its body. */
  | { readonly kind: 'error-inside' }
  /** The true answer under a Content-Length that promises more, then FIN. */
  | { readonly kind: 'truncated' }
  /** Valid JSON of that size. */
  /** `record`: what its JSON has beside the padding; that of 8.8.8.8 unless told. */
  | { readonly kind: 'huge'; readonly bytes: number; readonly record?: object }
  | { readonly kind: 'endless' }
  /** Valid JSON; about a thousandth of the size on the wire. Sent whatever Accept-Encoding says. */
  | { readonly kind: 'gzip-bomb'; readonly bytes?: number }
  /** 302 to `location`, `/elsewhere` of the fake unless told. */
  | { readonly kind: 'redirect'; readonly location?: string }
  | { readonly kind: '429-storm'; readonly retryAfterSeconds?: number }
  | { readonly kind: '401-storm' }
  | { readonly kind: '403-storm' }

/** Which calls are meant: those that match all that is given. */
export interface FaultScope {
  /** Paths without query; one that ends in `*` stands for all that start so. */
  readonly paths?: readonly string[]
  /** `""` is the keyless surface. */
  readonly tokens?: readonly string[]
  readonly methods?: readonly string[]
  readonly hosts?: readonly FakeHost[]
  /** Calls on connections that have carried another one before. */
  readonly onReused?: true
  /** In-process only. */
  readonly when?: (call: FakeCall) => boolean
  /** After that many calls it is over. */
  readonly times?: number
}

export type Behaviour = Fault & FaultScope

/** A fault that replaces the answer's delivery; `latency` comes before it. */
export type DeliveryFault = Exclude<
  Fault,
  { kind: 'latency' | 'error-inside' | '429-storm' | '401-storm' | '403-storm' }
>

/** What befalls one call. */
export interface Fate {
  readonly latencyMs: number
  readonly fault: DeliveryFault | undefined
  /** Resolves when the gates that hold the call are open; undefined if none does. */
  readonly held: Promise<unknown> | undefined
}

/** Calls that wait until the test lets them go. */
export interface Gate {
  /** How many calls wait at it now. */
  readonly waiting: number
  /** Lets them go, and all that come later. */
  release(): void
}

interface Armed<T> {
  readonly what: T
  readonly scope: FaultScope
  left: number
}

interface OpenGate {
  readonly opened: Promise<void>
  waiting: number
}

const noFate: Fate = { latencyMs: 0, fault: undefined, held: undefined }

/**
 * The faults in force. Of those that match a call the newest `latency` and the newest other one apply, and every
 * gate holds it.
 */
export class Faults {
  #armed: Armed<Fault>[] = []
  #gates: Armed<OpenGate>[] = []
  readonly #releases = new Map<OpenGate, () => void>()

  /** Arms a fault; call what it gives to disarm it. */
  behave(behaviour: Behaviour): () => void {
    const armed = { what: behaviour, scope: behaviour, left: behaviour.times ?? Number.POSITIVE_INFINITY }
    this.#armed.unshift(armed)
    return () => {
      this.#armed = this.#armed.filter((other) => other !== armed)
    }
  }

  hold(scope: FaultScope): Gate {
    const { promise, resolve } = Promise.withResolvers<void>()
    const gate: OpenGate = { opened: promise, waiting: 0 }
    this.#gates.push({ what: gate, scope, left: scope.times ?? Number.POSITIVE_INFINITY })
    this.#releases.set(gate, resolve)
    return {
      get waiting() {
        return gate.waiting
      },
      release: () => this.#release(gate),
    }
  }

  /** Disarms every fault; gates stay shut. */
  heal(): void {
    this.#armed = []
  }

  releaseAll(): void {
    for (const gate of this.#releases.keys()) this.#release(gate)
  }

  /** Decides what befalls a call, and counts it against `times`. */
  fateOf(call: FakeCall): Fate {
    if (this.#armed.length === 0 && this.#gates.length === 0) return noFate
    const latency = this.#armed.find((armed) => armed.what.kind === 'latency' && applies(armed, call))
    const fault = this.#armed.find((armed) => armed.what.kind !== 'latency' && applies(armed, call))
    const gates = this.#gates.filter((armed) => applies(armed, call))
    for (const armed of [latency, fault, ...gates]) if (armed !== undefined) armed.left -= 1
    return {
      latencyMs: latency?.what.kind === 'latency' ? latency.what.ms : 0,
      fault: fault === undefined ? undefined : plainFault(fault.what),
      held: gates.length === 0 ? undefined : Promise.all(gates.map(({ what }) => this.#wait(what))),
    }
  }

  #release(gate: OpenGate): void {
    this.#gates = this.#gates.filter(({ what }) => what !== gate)
    this.#releases.get(gate)?.()
    this.#releases.delete(gate)
  }

  async #wait(gate: OpenGate): Promise<void> {
    gate.waiting += 1
    await gate.opened
    gate.waiting -= 1
  }
}

/** Whether the call is one of those that the scope names; `times` plays no part. */
export function inScope({ paths, tokens, methods, hosts, onReused, when }: FaultScope, call: FakeCall): boolean {
  if (paths !== undefined && !paths.some((path) => pathMatches(path, pathnameOf(call.path)))) return false
  if (tokens !== undefined && !tokens.includes(call.token ?? '')) return false
  if (methods !== undefined && !methods.includes(call.method)) return false
  if (hosts !== undefined && !hosts.some((host) => host === call.host)) return false
  if (onReused === true && !call.isReused) return false
  return when === undefined || when(call)
}

function applies(armed: Armed<unknown>, call: FakeCall): boolean {
  return armed.left > 0 && inScope(armed.scope, call)
}

function pathMatches(pattern: string, path: string): boolean {
  return pattern.endsWith('*') ? path.startsWith(pattern.slice(0, -1)) : path === pattern
}

/** A storm is a status with IPinfo's own body. */
function plainFault(fault: Fault): DeliveryFault | undefined {
  if (fault.kind === 'latency') return undefined
  if (fault.kind === 'error-inside') return { kind: 'status', status: 200, body: bodyOf(refusals.rateLimited) }
  if (fault.kind === '401-storm') return { kind: 'status', status: 401, body: bodyOf(refusals.lacksPermission) }
  if (fault.kind === '403-storm') return { kind: 'status', status: 403, body: bodyOf(refusals.unknownToken) }
  if (fault.kind !== '429-storm') return fault
  const retryAfter = fault.retryAfterSeconds
  return {
    kind: 'status',
    status: 429,
    body: bodyOf(refusals.rateLimited),
    ...(retryAfter !== undefined && { headers: { 'retry-after': String(retryAfter) } }),
  }
}
