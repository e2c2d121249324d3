import { type Endpoint, isLoopback } from './endpoint.ts'
import type { EgressSettings } from './settings.ts'

/** Where the proxy listens. Whoever asks for no credentials is open to everybody who can connect: on loopback only. */
export function listenAddressOf(
  settings: Pick<EgressSettings, 'LISTEN_ADDR' | 'PROXY_USER' | 'USERS_FILE'>,
): Endpoint & { readonly narrowed: boolean } {
  const { LISTEN_ADDR: given, PROXY_USER: user, USERS_FILE: file } = settings
  if (user !== undefined || file !== undefined || isLoopback(given)) return { ...given, narrowed: false }
  const isIpv6 = given.host.includes(':') && given.host !== '::'
  return { host: isIpv6 ? '::1' : '127.0.0.1', port: given.port, narrowed: true }
}
