/**
 * What a connection that did not come about says:
 * - `port_taken`: another local port may do.
 * - `not_ours`: the source address cannot be bound, because this machine does not have it.
 * - `own_lack`: this process or machine is short of descriptors or memory; neither source nor target is to blame.
 * - `target_failed`: refused, unreachable or silent.
 */
export type ConnectFailure = 'port_taken' | 'not_ours' | 'own_lack' | 'target_failed'

const lacks: ReadonlySet<string | undefined> = new Set(['EMFILE', 'ENFILE', 'ENOBUFS', 'ENOMEM'])

/**
 * Linux says EADDRINUSE for a port on which somebody listens or which its user does not share, and, when it connects,
 * EADDRNOTAVAIL for one that has a connection to the same target already. Of `bind` the latter is about the address.
 */
export function connectFailure({ code, syscall }: NodeJS.ErrnoException): ConnectFailure {
  if (lacks.has(code)) return 'own_lack'
  if (code === 'EADDRINUSE' || (code === 'EADDRNOTAVAIL' && syscall !== 'bind')) return 'port_taken'
  return syscall === 'bind' ? 'not_ours' : 'target_failed'
}
