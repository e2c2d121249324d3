import { textual } from './config-kinds.ts'
import { hostNameIn, isLoopback, isUnspecified, portIn } from './host-name.ts'

export interface ListenAddress {
  /** '' is every address of the machine, of both families where it has both. */
  readonly host: string
  readonly port: number
}

/** `host:port`, `[::]:8080` or `:8080`; port 0 takes a free one. */
export const listenAddress = textual('"host:port", "[::]:port" or ":port" for all addresses', listenAddressIn)

function listenAddressIn(text: string): ListenAddress | undefined {
  const colon = text.lastIndexOf(':')
  const host = colon === 0 ? '' : hostNameIn(text.slice(0, Math.max(colon, 0)))
  const port = portIn(text.slice(colon + 1))
  return colon === -1 || host === undefined || port === undefined ? undefined : { host, port }
}

/** Whether a connection to `hostname` and `port` from this machine would plainly arrive at the address itself. */
export function leadsTo(listen: ListenAddress, { hostname, port }: { hostname: string; port: number }): boolean {
  if (port !== listen.port) return false
  if (hostname === listen.host) return true
  if (isUnspecified(listen.host)) return isLoopback(hostname) || isUnspecified(hostname)
  if (isUnspecified(hostname)) return isLoopback(listen.host)
  // Loopback has many addresses (127.0.0.2), but `localhost` is the usual of either family.
  return [hostname, listen.host].includes('localhost') && isLoopback(hostname) && isLoopback(listen.host)
}
