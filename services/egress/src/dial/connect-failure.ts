/**
 * Why a connection was not made:
 * - `port_taken`: another local port may do.
 * - `not_ours`: the source address cannot be bound, because this machine does not have it.
 * - `own_lack`: this process or machine lacks descriptors or memory; neither source nor target is to blame.
 * - `target_failed`: refused, unreachable or silent.
 */
export type ConnectFailure = 'port_taken' | 'not_ours' | 'own_lack' | 'target_failed'

const lacks: ReadonlySet<string | undefined> = new Set(['EMFILE', 'ENFILE', 'ENOBUFS', 'ENOMEM'])

/** Whether this process or machine lacks descriptors or memory, by the system's code. */
export function isOwnLack(code: string | undefined): code is string {
  return lacks.has(code)
}

/**
 * Linux reports EADDRINUSE for a port that has a listener or is not shared, and from `connect` EADDRNOTAVAIL for a port
 * that already has a connection to the same target. From `bind`, EADDRNOTAVAIL is about the address.
 */
export function connectFailure({ code, syscall }: NodeJS.ErrnoException): ConnectFailure {
  if (isOwnLack(code)) return 'own_lack'
  if (code === 'EADDRINUSE' || (code === 'EADDRNOTAVAIL' && syscall !== 'bind')) return 'port_taken'
  return syscall === 'bind' ? 'not_ours' : 'target_failed'
}
