import type { ProxyError } from '@ipfleet/core/proxy-error.ts'
import pino from 'pino'
import type { AccessEntry } from './access-line.ts'

/** The fields of a line that say why a request was refused or failed. */
export type FailureFields = Pick<AccessEntry, 'code' | 'level' | 'detail' | 'cause' | 'err'>

/** A chain of causes may be a ring. */
const maxCauses = 4

/**
 * Why a request was refused or failed. The code of an expected failure says where it is from, so its cause is told in
 * words. Only a fault of this program has a stack.
 */
export function failureOf({ code, level, detail, cause }: ProxyError): FailureFields {
  if (code === 'internal') return { code, level, detail, err: plainError(cause) }
  return { code, level, detail, cause: cause === undefined ? undefined : reasonsOf(cause) }
}

/** What an error and its causes say: `RedisUnavailable: Redis unavailable: down: Error: …`. */
function reasonsOf(thrown: unknown, depth = 0): string {
  if (!(thrown instanceof Error)) return String(thrown)
  const said = `${thrown.name}: ${thrown.message}`
  return thrown.cause === undefined || depth === maxCauses ? said : `${said}: ${reasonsOf(thrown.cause, depth + 1)}`
}

/** Not the error's own members: they may be anything, and of any size. */
function plainError(error: unknown): object {
  if (!(error instanceof Error)) return { message: String(error) }
  const { type, message, stack } = pino.stdSerializers.err(error)
  return { type, message, stack }
}
