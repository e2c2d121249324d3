import type { Accounts, FakeKey } from './accounts.ts'
import type { BlockedAddresses } from './blocked-addresses.ts'
import type { CallLog, FakeCall } from './call-log.ts'
import { type Behaviour, type Fault, type Faults, type FaultScope, inScope } from './faults.ts'

/** What the control routes drive. */
export interface Controlled {
  readonly log: CallLog
  readonly faults: Faults
  readonly accounts: Accounts
  readonly blocked: BlockedAddresses
  /** Resolves after that many ms. */
  readonly delay: (ms: number) => Promise<void>
}

export interface ControlAnswer {
  readonly status: number
  readonly value: unknown
}

const done: ControlAnswer = { status: 200, value: {} }
const maxWaitMs = 30_000

const faultKinds: Readonly<Record<Fault['kind'], true>> = {
  latency: true,
  status: true,
  hang: true,
  'hang-after-headers': true,
  drip: true,
  reset: true,
  'reset-mid-body': true,
  garbage: true,
  html: true,
  wall: true,
  fields: true,
  'error-inside': true,
  truncated: true,
  huge: true,
  endless: true,
  'gzip-bomb': true,
  redirect: true,
  '429-storm': true,
  '401-storm': true,
  '403-storm': true,
}

/** Answers `method /_fake/name`: the fake's controls for tests in other processes. Not logged, never faulty. */
export async function control(route: string, body: string, fake: Controlled): Promise<ControlAnswer> {
  const input = readObject(body)
  if (input === undefined) return { status: 400, value: { error: 'the body is not a JSON object' } }
  switch (route) {
    case 'POST behave':
      if (!isBehaviour(input)) return { status: 400, value: { error: 'unknown kind' } }
      fake.faults.behave(input)
      return done
    case 'POST heal':
      fake.faults.heal()
      return done
    case 'POST hold':
      fake.faults.hold(input)
      return done
    case 'POST release':
      fake.faults.releaseAll()
      return done
    case 'POST wait':
      return await wait(input, fake)
    case 'GET calls':
      return { status: 200, value: fake.log.calls }
    case 'DELETE calls':
      fake.log.clear()
      return done
    case 'GET stats':
      return { status: 200, value: fake.log.stats() }
    case 'POST quota/reset':
      fake.accounts.reset((input as { token?: string }).token)
      return done
    case 'PUT key':
      return setKey(input, fake)
    case 'PUT blocked':
      fake.blocked.set((input as { addresses?: string[] }).addresses ?? [])
      return done
    default:
      return { status: 404, value: { error: 'no such control' } }
  }
}

/** `{ token, key }`; without a key the token is taken away. */
function setKey(
  { token, key }: { readonly token?: string; readonly key?: FakeKey },
  { accounts }: Controlled,
): ControlAnswer {
  if (typeof token !== 'string') return { status: 400, value: { error: 'no token' } }
  accounts.setKey(token, key)
  return done
}

/** `{ count, timeoutMs, …scope }`: answers with the call that made the log hold `count` of them, or 408. */
async function wait(input: WaitInput, { log, delay }: Controlled): Promise<ControlAnswer> {
  const { count = 1, timeoutMs = maxWaitMs } = input
  const call: FakeCall | void = await Promise.race([
    log.reach(count, (made) => inScope(input, made)),
    delay(Math.min(timeoutMs, maxWaitMs)),
  ])
  return call === undefined
    ? { status: 408, value: { error: 'not so many calls in time' } }
    : { status: 200, value: call }
}

interface WaitInput extends FaultScope {
  readonly count?: number
  readonly timeoutMs?: number
}

function isBehaviour(input: object): input is Behaviour {
  return 'kind' in input && typeof input.kind === 'string' && Object.hasOwn(faultKinds, input.kind)
}

function readObject(body: string): object | undefined {
  if (body === '') return {}
  try {
    const value: unknown = JSON.parse(body)
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? value : undefined
  } catch {
    return undefined
  }
}
