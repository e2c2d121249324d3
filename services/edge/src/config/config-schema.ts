import { blocks, choice, decimal, flag, listOf, milliseconds, seconds } from '@ipfleet/settings/toml-kinds.ts'
import { textual, wholeNumber } from '@ipfleet/settings/toml-kinds.ts'
import { optional, preset, required, table, tableList, tablesByName } from '@ipfleet/settings/toml-schema.ts'
import type { TomlValues } from '@ipfleet/settings/toml-schema.ts'
import * as kinds from './config-kinds.ts'
import { knownKeys, knownKeysFile } from './known-keys.ts'

const server = table({
  listen: preset(kinds.listenAddress, '0.0.0.0:8090', 'Where it listens; port 0 takes a free one'),
  workers: preset(wholeNumber(1, 256), 1, 'Processes that share the port'),
  max_connections: preset(wholeNumber(1), 10_000, 'Most connections and HTTP/2 streams of one process'),
  max_connections_per_client: preset(
    wholeNumber(0),
    1000,
    'Most connections and HTTP/2 streams of one client to one process; trusted proxies are not counted; 0: no limit',
  ),
  client_share_percent: preset(
    wholeNumber(1, 100),
    50,
    'Most that one client may hold of what the others leave free: of the connections to a backend and the places to wait for one, of max_long_answers, max_held_bytes and max_window_bytes; 100: all of it',
  ),
  max_long_answers: preset(
    wholeNumber(0),
    1000,
    'Most event streams, tunnels, and uploads and answers that take over 5 s, of one process. They count in no max_connections of a group',
  ),
  max_held_bytes: preset(
    wholeNumber(1_048_576),
    33_554_432,
    'Most bytes of the heads and collected bodies of requests under way, of one process',
  ),
  max_window_bytes: preset(
    wholeNumber(0),
    33_554_432,
    'Most bytes that clients of HTTP/2 may send before a backend takes them, of one process, beyond 64 KiB a connection',
  ),
  body_buffer_bytes: preset(
    wholeNumber(0, 16_777_216),
    65_536,
    'Of a body so much is collected before a backend is asked, so that a client that does not send it holds no connection; 0: nothing',
  ),
  max_headers: preset(wholeNumber(1, 10_000), 100, 'Most header fields of a request'),
  max_header_bytes: preset(wholeNumber(1024, 1_048_576), 16_384, 'Most bytes of them'),
  max_target_bytes: preset(wholeNumber(64, 1_048_576), 8192, 'Longest path and query'),
  max_body_bytes: preset(wholeNumber(0), 104_857_600, 'Largest body of a request; 0: no limit'),
  header_timeout_seconds: preset(seconds(), 10, 'How long a client may take to send the head of a request'),
  body_timeout_seconds: preset(
    seconds(),
    30,
    'How long it may take to send the body, apart from what min_body_bytes_per_second gives it',
  ),
  min_body_bytes_per_second: preset(wholeNumber(1), 500, 'A body has a second more for each so many bytes that came'),
  keep_alive_seconds: preset(seconds(), 60, 'How long a connection stays open between two requests'),
  send_timeout_seconds: preset(seconds(), 60, 'How long a client may leave an answer unread'),
  upgrades: preset(flag, true, 'Whether WebSocket and other upgrades are tunnelled'),
  tunnel_idle_seconds: preset(seconds(), 3600, 'How long nothing may pass through a tunnel'),
  hidden_paths: preset(
    listOf(kinds.pathPrefix),
    ['/metrics', '/stats', '/cache', '/keys', '/admin', '/console'],
    'Paths that are answered 404 with all below them: what the replicas offer their operators. /console is hidden with any of them, unless [console] opens it',
  ),
  show_backend: preset(flag, true, 'Whether X-Backend names who answered'),
  proxy_protocol: preset(
    blocks,
    [],
    'Proxies whose connections begin with a PROXY header (version 1 or 2), which says whom they are from; without one they are refused, and from all others one is',
  ),
  probe_endpoint: preset(kinds.urlPathOrNone, '/edge/readyz', 'Answers whether this edge can serve; "": nothing does'),
})

const tls = table({
  cert: required(kinds.readableFile, 'The certificate with its chain, PEM. Read again when it changes'),
  key: required(kinds.readableFile, 'Its private key, PEM'),
  http2: preset(flag, true, 'Whether HTTP/2 is offered'),
  min_version: preset(choice(['TLSv1.2', 'TLSv1.3']), 'TLSv1.2', 'Oldest version of TLS'),
})

const group = table({
  backends: required(kinds.backendList, 'Who answers. The addresses of a name are taken as so many backends'),
  balance: preset(
    choice(['round-robin', 'least-requests', 'weighted', 'hash']),
    'round-robin',
    'Who is next; hash: the same path always goes to the same backend',
  ),
  host: preset(choice(['client', 'backend']), 'client', 'Whose name goes upstream in Host'),
  connect_timeout_ms: preset(milliseconds(), 1000, 'How long a connection may take to be made'),
  answer_timeout_seconds: preset(seconds(), 30, 'From the end of the request to the head of the answer'),
  idle_timeout_seconds: preset(seconds(), 60, 'Between two parts of an answer’s body'),
  max_connections: preset(wholeNumber(1, 65_535), 256, 'Most connections of one process to one address'),
  max_waiting: preset(wholeNumber(0), 1024, 'Most requests that wait for one of these; more are answered 503'),
  keep_alive_seconds: preset(
    seconds(),
    30,
    'How long an unused connection is kept; shorter than the backend keeps it. Less where the backend says so in Keep-Alive',
  ),
  max_connection_life_seconds: preset(
    seconds(),
    300,
    'How long a connection is used for further requests, so that an address behind which servers come and go is connected to anew',
  ),
  resolve_seconds: preset(seconds(), 5, 'How often the addresses of a name are looked up again'),
  health_path: optional(kinds.requestTargetOrNone, 'Overrides that of [health]; "": no active checks of this group'),
})

const upstreams = table({
  ...group.shape,
  backends: preset(
    kinds.backendList,
    ['http://127.0.0.1:8080'],
    'Who answers. The addresses of a name are taken as so many backends',
  ),
})

const route = table({
  prefix: required(
    kinds.pathPrefix,
    'Matches whole segments: /jobs is /jobs and /jobs/7, not /jobsite. The longest wins',
  ),
  upstreams: required(
    textual('the name of a group, or "default" for [upstreams]', (text) => text),
    'Where such requests go',
  ),
  max_body_bytes: optional(wholeNumber(0), 'Overrides that of [server]; 0: no limit'),
  hedge_after_ms: optional(kinds.hedgeAfter, 'Overrides that of [retry]'),
})

const health = table({
  path: optional(
    kinds.requestTarget,
    'What backends are asked; /readyz for replicas of lookup. Not set: no active checks',
  ),
  interval_seconds: preset(seconds(), 1, 'How often each process asks each of them'),
  timeout_ms: preset(milliseconds(), 1000, 'How long the answer may take'),
  healthy_after: preset(wholeNumber(1, 1000), 2, 'Good answers in a row that bring a backend back'),
  unhealthy_after: preset(wholeNumber(1, 1000), 2, 'Failures in a row that take it out'),
})

const ejection = table({
  failures: preset(wholeNumber(0), 3, 'Failed requests in a row after which a backend is left alone; 0: never'),
  seconds: preset(seconds(), 10, 'For how long'),
  max_percent: preset(wholeNumber(0, 100), 50, 'Most of a group that is left alone at a time'),
  slow_start_seconds: preset(seconds(0), 10, 'How long a returning backend takes to get its full share; 0: none'),
})

const retry = table({
  attempts: preset(wholeNumber(0, 10), 1, 'Further backends that a request may try'),
  budget_percent: preset(wholeNumber(0, 100), 20, 'Most retries, as a share of the requests of the last ten seconds'),
  min_per_second: preset(decimal(0, 1_000_000), 100, 'Retries a second that are allowed in any case'),
  hedge_after_ms: preset(
    kinds.hedgeAfter,
    'auto',
    'After how long without an answer a GET or HEAD is asked of another backend too, and as long after that of the next, within the budget of retries; the first answer counts. "auto": three times the 99th percentile of the last answers, from 250 ms to 5 s; 0: never. Not for event streams, and for /jobs only if a route says so',
  ),
})

const rateLimit = table({
  algorithm: preset(
    choice(['sliding-window', 'token-bucket']),
    'sliding-window',
    'max_requests and window_seconds are of the one, burst and refill_per_second of the other',
  ),
  max_requests: preset(wholeNumber(1, 1_000_000_000), 10, 'Most requests of a client in a window'),
  window_seconds: preset(seconds(), 60, 'Length of the window'),
  burst: preset(wholeNumber(1, 1_000_000_000), 10, 'Most requests at once'),
  refill_per_second: preset(decimal(0.001, 1_000_000_000), 0.5, 'Requests that may follow in each second'),
  key_extractor: preset(
    kinds.keyExtractor,
    'client_ip',
    'What makes a client: its address (IPv6: the /64), or its token or a header field if that is known; an unknown one counts as its address',
  ),
  known: preset(knownKeys, [], 'Tokens or values of the field that have a budget of their own, such as ["${TOKEN}"]'),
  known_file: optional(knownKeysFile, 'The same in a file, read again at SIGHUP'),
  ahead_percent: preset(
    wholeNumber(0, 50),
    0,
    'Of what a client has left, a process lets this share through before it asks Redis; 0: it asks each time',
  ),
  exempt: preset(blocks, [], 'Clients that are not limited'),
  limit_methods: optional(
    listOf(kinds.method, { min: 1 }),
    'Methods that count, such as ["GET", "HEAD", "POST"] where preflights (OPTIONS) shall not; not set: all',
  ),
})

const access = table({
  allow: preset(blocks, [], 'Clients that are served; none: all are'),
  deny: preset(blocks, [], 'Clients that are not, whatever allow says'),
})

const metrics = table({
  enabled: preset(flag, true, 'Whether there are any'),
  endpoint: preset(kinds.urlPath, '/metrics', 'Their path'),
  allow: preset(blocks, ['loopback', 'private'], 'Clients that may read them; to others the path does not exist'),
})

const consoleAccess = table({
  enabled: preset(
    flag,
    false,
    'Whether /console goes to the replicas, as any path does by its route. Needs ADMIN_TOKEN, which the replicas have too: through the edge no one gets in without it or their CONSOLE_READ_TOKEN',
  ),
  allow: preset(blocks, ['loopback', 'private'], 'Clients that may open it; to others the path does not exist'),
})

/** The tables of the file as they are written there, with what the help lists below them. */
export const configTables = [
  { title: '[server]', table: server },
  { title: '[tls]', note: 'without it, plain HTTP', table: tls },
  { title: '[upstreams]', note: 'where requests go that no route takes', table: upstreams },
  {
    title: '[groups.<name>]',
    note: 'for routes; has the keys of [upstreams], of which this is required',
    table: table({ backends: group.shape.backends }),
  },
  { title: '[[routes]]', note: 'one for each prefix', table: route },
  { title: '[health]', table: health },
  { title: '[ejection]', table: ejection },
  { title: '[retry]', table: retry },
  { title: '[rate_limit]', note: 'without it, no client is limited', table: rateLimit },
  { title: '[access]', table: access },
  { title: '[metrics]', table: metrics },
  { title: '[console]', table: consoleAccess },
]

/** The file. What its tables say together is judged by `contradictions.ts`. */
export const configFile = table(
  {
    server: server.prefault({}),
    tls: tls.optional(),
    upstreams: upstreams.prefault({}),
    groups: tablesByName(group).prefault({}),
    routes: tableList(route).prefault([]),
    health: health.prefault({}),
    ejection: ejection.prefault({}),
    retry: retry.prefault({}),
    rate_limit: rateLimit.optional(),
    access: access.prefault({}),
    metrics: metrics.prefault({}),
    console: consoleAccess.prefault({}),
  },
  homesOf,
)

export type ConfigTables = TomlValues<typeof configFile>

/** Above the first table line, a key is in no table. */
function homesOf(key: string): string {
  const homes = configTables.filter(({ table: { shape } }) => Object.hasOwn(shape, key)).map(({ title }) => title)
  return homes.length > 0 ? ` outside of a table; it belongs below ${homes.join(' or ')}` : ''
}
