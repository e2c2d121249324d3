import { cidrList, integer, text } from './kinds.ts'

/** Where a service of the fleet listens, and whom it believes. */
export const serverSettings = (defaultPort: number) => ({
  PORT: integer({
    group: 'Server',
    min: 0,
    max: 65_535,
    default: defaultPort,
    help: 'Port to listen on; 0 takes a free one',
  }),
  HOST: text({ group: 'Server', default: '0.0.0.0', help: 'Address to listen on' }),
  TRUST_PROXY: cidrList({
    group: 'Server',
    optional: true,
    help: 'Proxies whose X-Forwarded-For is believed, such as the edge; what they ask a second time is counted once',
  }),
})
