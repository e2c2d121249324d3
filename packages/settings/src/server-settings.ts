import { isIP, isIPv6 } from 'node:net'
import { cidrList, integer, textual } from './kinds.ts'
import { grouped } from './setting.ts'

/** Where a service of the fleet listens, what one client may have of that, and which proxies it believes. */
export const serverSettings = (defaultPort: number) =>
  grouped('Server', {
    PORT: integer({ min: 0, max: 65_535, default: defaultPort, help: 'Port to listen on; 0 takes a free one' }),
    HOST: textual({
      default: '0.0.0.0',
      read: listenHost,
      allowed: 'an address (:: for all, of IPv6 too) or a name of this machine, without a port',
      help: 'Address to listen on',
    }),
    MAX_CONNECTIONS_PER_CLIENT: integer({
      min: 0,
      default: 1000,
      help: 'Most connections of one address (IPv6: each /64), idle ones included; those of TRUST_PROXY are not limited; 0: no limit',
    }),
    TRUST_PROXY: cidrList({
      optional: true,
      help: 'Proxies whose X-Forwarded-For is believed, such as the edge; what they ask a second time is counted once',
    }),
  })

/** As `server.listen` takes it: IPv6 without the brackets of a URL. */
function listenHost(given: string): string | undefined {
  const bare = given.replace(/^\[(.*)\]$/, '$1')
  if (isIPv6(bare)) return bare
  // A dotted number that is no address would be looked up as a name.
  const isName = /^[\w-]+(?:\.[\w-]+)*\.?$/.test(given) && !/^[\d.]+$/.test(given)
  return isIP(given) > 0 || given === '0' || isName ? given : undefined
}
