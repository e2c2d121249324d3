import {
  choice,
  flag,
  integer,
  maxTimerMs,
  milliseconds,
  number,
  path,
  seconds as secondsOf,
  secretText,
  text,
  textual,
  textualList,
} from '@ipfleet/settings/kinds.ts'
import { url } from '@ipfleet/settings/url-setting.ts'
import { logSettings } from '@ipfleet/settings/log-settings.ts'
import { redisSettings, redisUrl } from '@ipfleet/redis/redis-settings.ts'
import { grouped, type SettingsOf } from '@ipfleet/settings/setting.ts'
import { type Endpoint, endpointInWords, type Protocol, protocols, readEndpoint } from './server/listen-address.ts'
import { resolverSetting } from '@ipfleet/net/dns-look-up.ts'
import { parentInWords, secretsInItem } from './sources/parent-proxy.ts'
import { authorityOf } from '@ipfleet/net/target.ts'
import { portRangesInWords, readPortRanges, showPortRanges } from '@ipfleet/net/port-ranges.ts'
import { targetList } from '@ipfleet/net/target-list.ts'
import { traceSettings } from '@ipfleet/telemetry/tracing/trace-settings.ts'

/** Of a wait: what a timer can measure. */
const seconds: typeof secondsOf = (options) => secondsOf({ max: Math.floor(maxTimerMs / 1000), ...options })

const sources = grouped('Sources', {
  IP_POOL: textualList({
    optional: true,
    read: (item) => [item],
    secretsIn: (items) => items.flatMap(secretsInItem),
    allowed: `an address of this machine, a prefix of which all are (2001:db8::/64), or the URL of a parent proxy (${parentInWords})`,
    help: 'What connections leave from, in turn; of a prefix a random address. Unset: the address that the system chooses, and no rotation',
  }),
  ROTATION: choice(['round-robin', 'random', 'least-recently-used'], {
    default: 'round-robin',
    help: 'Which address is next',
  }),
  HEALTH_CHECK_URL: url({
    protocols: ['http:', 'https:', 'tcp:'],
    optional: true,
    help: 'What each address is checked with: an answer under 500, or for tcp://host:port a connection. Unset: judged by use alone',
  }),
  HEALTH_CHECK_INTERVAL_SECONDS: seconds({ min: 0.1, default: 10, help: 'Between two checks of an address' }),
  HEALTH_CHECK_TIMEOUT_MS: milliseconds({ min: 10, default: 3000, help: 'How long a check may take' }),
  SITE_BENCH_SECONDS: seconds({
    default: 300,
    help: 'How long an address that a site refuses (403, 429) is not used for that site; 0: it is',
  }),
})

const clients = grouped('Clients', {
  PROXY_USER: text({
    optional: true,
    pattern: /^[^:]{1,128}$/u,
    allowed: 'up to 128 characters of one line, no colon among them',
    help: 'The user that is let in. Without it and USERS_FILE everybody is, and the proxy listens on loopback only',
  }),
  PROXY_PASS: secretText({ optional: true, help: 'Password of PROXY_USER' }),
  USERS_FILE: path({
    optional: true,
    help: 'More users, with hashed passwords, limits and lists of their own. Read again when it changes',
  }),
  RATE_LIMIT_BURST: integer({
    min: 0,
    max: 1_000_000,
    default: 10,
    help: 'Requests that a client may make at once; 0: no limit',
  }),
  RATE_LIMIT_REFILL: number({
    min: 0.001,
    max: 1_000_000,
    default: 0.5,
    help: 'Requests a second that come back to it',
  }),
})

const targets = grouped('Targets', {
  CONNECT_PORTS: textual({
    read: readPortRanges,
    show: showPortRanges,
    allowed: portRangesInWords,
    default: readPortRanges('443,80,1024-65535') ?? [],
    help: 'Where CONNECT may go',
  }),
  ALLOW_TARGETS: targetList({
    help: 'Targets that may be private, or this machine itself. A name stands for all its addresses. Where the proxy listens stays refused',
  }),
  DENY_TARGETS: targetList({ help: 'Targets that are refused, also when they are allowed' }),
  RESOLVER: resolverSetting,
})

const forwarding = grouped('Forwarding', {
  X_FORWARDED_FOR: flag({ default: true, help: 'Whether origins are told the client in it' }),
  X_REAL_IP: flag({ default: true, help: 'Whether origins are told the client in it' }),
  VIA: flag({ default: true, help: 'Whether this proxy names itself in it' }),
  CONNECT_TIMEOUT_MS: milliseconds({
    min: 1,
    default: 10_000,
    help: 'How long looking a name up may take, and then connecting',
  }),
  ANSWER_TIMEOUT_SECONDS: seconds({ min: 0.001, default: 60, help: 'How long an origin may take to begin its answer' }),
  IDLE_TIMEOUT_SECONDS: seconds({
    min: 0.001,
    default: 300,
    help: 'How long nothing may pass through a tunnel, or of a body',
  }),
})

const caps = grouped('Caps', {
  MAX_CONNECTIONS: integer({ min: 1, default: 20_000, help: 'Most connections of clients' }),
  MAX_CONNECTIONS_PER_CLIENT: integer({
    min: 0,
    default: 2000,
    help: 'Most connections of one address, those of its tunnels included; 0: no limit',
  }),
  MAX_TUNNELS: integer({ min: 1, default: 10_000, help: 'Most tunnels' }),
  MAX_TUNNELS_PER_CLIENT: integer({ min: 0, default: 1000, help: 'Most tunnels of one client; 0: no limit' }),
  TUNNEL_MAX_BYTES: integer({
    min: 0,
    default: 0,
    help: 'Bytes, of both directions together, after which a tunnel is closed; 0: no limit',
  }),
  TUNNEL_MAX_SECONDS: seconds({ default: 0, help: 'Time after which a tunnel is closed; 0: no limit' }),
})

const server = grouped('Server', {
  LISTEN_ADDR: textual({
    read: readEndpoint,
    show: authorityOf,
    allowed: endpointInWords,
    default: { host: '0.0.0.0', port: 7777 },
    help: 'Where clients connect. Without PROXY_USER and USERS_FILE its port on loopback; port 0 takes a free one',
  }),
  PROTOCOLS: textualList({
    default: protocols,
    read: (item) => protocols.find((known) => known === item.toLowerCase()) && [item.toLowerCase() as Protocol],
    allowed: 'http or socks5',
    help: 'What clients may speak to the port; the first byte of a connection tells which it is',
  }),
  TLS_LISTEN_ADDR: textual({
    optional: true,
    read: readEndpoint,
    show: authorityOf,
    allowed: endpointInWords,
    help: 'Where clients connect with TLS, as to https://proxy:port. Needs TLS_CERT and TLS_KEY. Unset: nowhere',
  }),
  TLS_CERT: path({
    optional: true,
    help: 'A PEM file of the certificate that TLS clients get, with the rest of its chain. Read again when it changes',
  }),
  TLS_KEY: path({ optional: true, help: 'A PEM file of the key of TLS_CERT' }),
  METRICS_ADDR: textual<Endpoint | 'off'>({
    read: (given) => (given.toLowerCase() === 'off' ? 'off' : readEndpoint(given)),
    show: (value) => (value === 'off' ? value : authorityOf(value)),
    allowed: `${endpointInWords}; off: nowhere`,
    default: { host: '127.0.0.1', port: 7778 },
    help: 'Where /metrics and the probes are answered',
  }),
  DRAIN_MS: milliseconds({ default: 10_000, help: 'On SIGTERM: how long tunnels and requests may go on' }),
})

const redis = {
  REDIS_URL: redisUrl({
    optional: true,
    help: 'What the fleet shares: turns, health of addresses, limits. Unset: each replica has its own',
  }),
  ...redisSettings({
    timeout: {
      default: 100,
      help: 'How long a connection or request may wait for Redis to count it against its limit; with ROTATION=least-recently-used as long again for each source address that it tries',
    },
  }),
}

/** All that can be set, by the name of its environment variable. */
export const settingsSchema = {
  ...sources,
  ...clients,
  ...targets,
  ...forwarding,
  ...caps,
  ...server,
  ...redis,
  ...logSettings,
  ...traceSettings,
}

export type EgressSettings = SettingsOf<typeof settingsSchema>

/** In milliseconds what the settings have in seconds. */
export function durationsOf(settings: EgressSettings) {
  return {
    checkIntervalMs: settings.HEALTH_CHECK_INTERVAL_SECONDS * 1000,
    siteBenchMs: settings.SITE_BENCH_SECONDS * 1000,
    answerTimeoutMs: settings.ANSWER_TIMEOUT_SECONDS * 1000,
    idleTimeoutMs: settings.IDLE_TIMEOUT_SECONDS * 1000,
    maxTunnelMs: settings.TUNNEL_MAX_SECONDS * 1000,
  }
}
