import { types } from 'node:util'
import { errorCode } from '@ipfleet/core/error-code.ts'

/**
 * What keeps a fleet from using its Redis, by what is to be done about it. `away`: nothing answers, or not yet.
 * `settings`: it will not answer until an operator changes something. `refused`: it answers, but not to this.
 */
export type ProblemKind = 'away' | 'settings' | 'refused'

export interface RedisProblem {
  readonly kind: ProblemKind
  /** What the server or the system calls it: `WRONGPASS`, `ECONNREFUSED`. */
  readonly code: string
  /** What is wrong and what to do, in a sentence without secrets. */
  readonly message: string
}

/** Where a server is, for messages. Without credentials. */
export interface RedisPlace {
  /** Host and port, or the path of a socket. */
  readonly at: string
  readonly host: string
  readonly tls: boolean
  /** Whether the URL is that of a Cluster. */
  readonly isCluster?: boolean
  /** What the names of its settings begin with: `REDIS`. */
  readonly settings: string
}

const nowhere: RedisPlace = { at: 'its address', host: 'its address', tls: false, settings: 'REDIS' }

type Row = readonly [form: RegExp, kind: ProblemKind, code: string, message: string]

/** Servers that are only like Redis give scripts no libraries, or other values than Redis does. */
const scripts: Row = [
  /nonexistent global variable '(cjson|cmsgpack)'|attempt to index a nil value \(global '(cjson|cmsgpack)'\)|^absent keys/,
  'settings',
  'SCRIPTS',
  'the server at $at cannot run the scripts that are needed$what: use Redis 6.2 or newer, or Valkey',
]

/** By what the server says. The first that matches. `$at` stands for where it is, `$settings` for how its settings begin. */
const replies: readonly Row[] = [
  [/^WRONGPASS|invalid password/, 'settings', 'WRONGPASS', 'the server at $at refuses the user or the password'],
  [
    /^NOAUTH/,
    'settings',
    'NOAUTH',
    'the server at $at wants a password: set $settings_PASSWORD, or redis://:PASSWORD@host or redis://USER:PASSWORD@host',
  ],
  [
    /^DENIED/,
    'settings',
    'DENIED',
    'the server at $at is in protected mode: give it a password, and set $settings_PASSWORD',
  ],
  [
    /DB index is out of range|invalid DB index/i,
    'settings',
    'DB',
    'the server at $at has no database of the number in the URL',
  ],
  [/SELECT is not allowed/i, 'settings', 'DB', 'the server at $at is a Cluster, which has database 0 only'],
  [
    /^(MOVED|ASK|CROSSSLOT)\b/,
    'settings',
    'CLUSTER',
    'the server at $at is a node of a Redis Cluster: set $settings_URL=redis+cluster://$at',
  ],
  [
    /^NOPERM|ACL failure|executing the script can't (run|access)/,
    'settings',
    'NOPERM',
    'the user may not do what is needed$what: give it the commands, keys and channels that the README lists',
  ],
  scripts,
  [
    /^ERR unknown command|Unknown Redis command/i,
    'settings',
    'COMMAND',
    'the server at $at does not know a command that is needed$what',
  ],
  [
    /cluster support disabled/,
    'settings',
    'NO_CLUSTER',
    'the server at $at is no node of a Cluster: is it redis:// instead of redis+cluster://?',
  ],
  [/^READONLY/, 'away', 'READONLY', 'the server at $at is a read-only replica: name the primary'],
  [/^MASTERDOWN/, 'away', 'MASTERDOWN', 'the server at $at is a replica that has lost its primary'],
  [/^LOADING/, 'away', 'LOADING', 'the server at $at is loading its data'],
  [/^BUSY\b/, 'away', 'BUSY', 'the server at $at is busy with a script'],
  [/^CLUSTERDOWN|Too many Cluster redirections/, 'away', 'CLUSTERDOWN', 'the Cluster of the server at $at is down'],
  [
    /max number of clients/,
    'away',
    'MAXCLIENTS',
    'the server at $at has as many clients as it takes: raise maxclients',
  ],
  [/^OOM|^EXECABORT/, 'refused', 'OOM', 'the server at $at is full: raise maxmemory'],
  [/^MISCONF/, 'refused', 'MISCONF', 'the server at $at takes no writes because it cannot save to its disk'],
  [/^NOREPLICAS/, 'refused', 'NOREPLICAS', 'the server at $at takes no writes because it has too few replicas'],
  [
    /WRONGTYPE/,
    'refused',
    'WRONGTYPE',
    'a key of this fleet at $at holds what another program has put there: give one of them another REDIS_PREFIX or database',
  ],
]

/** As ioredis 6.0.0 says it when its `socketTimeout` has passed; it gives such errors no code. */
const silent: Row = [
  /^Socket timeout/,
  'away',
  'TIMEOUT',
  'the server at $at does not answer in time (REDIS_TIMEOUT_MS)',
]

/** By what Node.js or ioredis says when there is no connection. */
const failures: readonly Row[] = [
  silent,
  [/^(ENOTFOUND|EAI_\w+)/, 'away', 'ENOTFOUND', 'the name $host does not resolve'],
  [/^ECONNREFUSED/, 'away', 'ECONNREFUSED', 'nothing listens at $at'],
  [/^ENOENT/, 'away', 'ENOENT', 'there is no socket at $at'],
  [/^EACCES/, 'settings', 'EACCES', 'this process may not open the socket at $at'],
  [/^(EHOSTUNREACH|ENETUNREACH)/, 'away', 'EHOSTUNREACH', 'there is no route to $at'],
  [
    /^(DEPTH_ZERO_SELF_SIGNED_CERT|SELF_SIGNED_CERT_IN_CHAIN|UNABLE_TO_(VERIFY_LEAF_SIGNATURE|GET_ISSUER_CERT\w*))/,
    'settings',
    'CERTIFICATE',
    'the certificate of the server at $at is of an authority that is not trusted: name its file in $settings_CA',
  ],
  [
    /ALERT_CERTIFICATE_REQUIRED/,
    'settings',
    'CERTIFICATE',
    'the server at $at wants a certificate of its clients: name it in $settings_CERT and its key in $settings_KEY',
  ],
  [
    /ALERT_(UNKNOWN_CA|BAD_CERTIFICATE|CERTIFICATE_\w+)/,
    'settings',
    'CERTIFICATE',
    'the server at $at does not accept the certificate of $settings_CERT',
  ],
  [
    /^ERR_OSSL/,
    'settings',
    'FILES',
    'the certificate of $settings_CERT and the key of $settings_KEY do not belong together, or cannot be read',
  ],
  [/^CERT_HAS_EXPIRED/, 'settings', 'CERTIFICATE', 'the certificate of the server at $at has expired'],
  [/^ERR_TLS_CERT_ALTNAME_INVALID/, 'settings', 'CERTIFICATE', 'the certificate of the server at $at is not for $host'],
  [/^CERT_|_CERT/, 'settings', 'CERTIFICATE', 'the certificate of the server at $at is not accepted'],
  [
    /^(ERR_SSL|EPROTO)/,
    'settings',
    'TLS',
    'the server at $at does not speak TLS as it should: is it redis:// instead of rediss://?',
  ],
  [
    /RESP type|[Pp]rotocol error|as reply type byte/,
    'settings',
    'PROTOCOL',
    'what answers at $at is no Redis: check host and port',
  ],
]

/** What Redis 6.2 puts before the refusal of a command in a script. */
const inScript = /^ERR Error running script \(call to \w+\): (?:@user_script: ?\d+: )+-/

/** What an error of a connection or a command means. @param what what was being tried, if a single command was */
export function problemOf(error: unknown, place: RedisPlace = nowhere, what?: string): RedisProblem | undefined {
  if (!types.isNativeError(error)) return undefined
  const code = errorCode(error) ?? ''
  const row =
    failures.find(([form]) => form.test(code) || (code === '' && form.test(error.message))) ??
    replies.find(([form]) => form.test(error.message.replace(inScript, '')))
  return row && problemIn(row, place, what ?? commandIn(error.message))
}

/** The command that the server does not know, or that the user may not run. */
function commandIn(message: string): string | undefined {
  const named = /unknown command ['`]([\w|]{1,40})['`]|to run the '([\w|]{1,40})' command/i.exec(message)
  return named?.slice(1).find(Boolean)?.toUpperCase()
}

/** As ioredis 6.0.0 tells that none of the Sentinels has named a master; with why the last of them has not. */
const sentinelFailures: readonly Row[] = [
  [
    /WRONGPASS|NOAUTH|invalid password|without any password configured/,
    'settings',
    'SENTINEL_AUTH',
    'the Sentinels at $at refuse the user or the password: see $settings_SENTINEL_USERNAME and $settings_SENTINEL_PASSWORD',
  ],
  [
    /NOPERM/,
    'settings',
    'SENTINEL_NOPERM',
    'the user of the Sentinels at $at may not ask them: give it SENTINEL and SUBSCRIBE',
  ],
  [
    /No such master with that name|got an invalid reply: null/,
    'settings',
    'SENTINEL_NAME',
    'the Sentinels at $at know no master of the name in $settings_URL',
  ],
  [/unknown command/i, 'settings', 'SENTINEL', 'what answers at $at is no Sentinel: check host and port'],
  [/./, 'away', 'SENTINELS', 'none of the Sentinels at $at answers'],
]

/** What it means that no Sentinel names a master. @param last what ioredis says of the last that was asked */
export function sentinelProblem(last: string, place: RedisPlace): RedisProblem {
  const row = sentinelFailures.find(([form]) => form.test(last)) ?? silent
  return problemIn(row, place)
}

/** It fails a script, for a reason that only its makers know: the beginning of what it said is told. */
export function scriptsProblem(said: string, place: RedisPlace): RedisProblem {
  return problemIn(scripts, place, said.slice(0, 100))
}

/** There was a connection, or nearly one, and it ended. */
export function lostProblem(place: RedisPlace): RedisProblem {
  return problemIn([/./, 'away', 'LOST', 'the connection to $at has ended'], place)
}

/** It answers commands, and there is no connection by which messages would come. */
export function unheardProblem(place: RedisPlace): RedisProblem {
  const why = 'has it another password by now, or as many clients as it takes (maxclients)?'
  return problemIn([/./, 'refused', 'UNHEARD', `no second connection to $at can be made, for messages: ${why}`], place)
}

/** Nothing came for as long as a command may take. */
export function silentProblem(place: RedisPlace): RedisProblem {
  return problemIn(silent, place)
}

/** It was reached, and ended the connection before it had said anything. */
export function closedAtOnceProblem(place: RedisPlace): RedisProblem {
  // With TLS 1.3 it may end the connection before its reason, a missing certificate, has been read.
  const hint = place.tls
    ? 'is it redis:// instead of rediss://, or does it want a certificate of its clients ($settings_CERT, $settings_KEY)?'
    : 'does it want TLS (rediss://), has it as many clients as it takes (maxclients), or is it a proxy without all commands?'
  return problemIn([/./, 'settings', 'CLOSED', `the server at $at ends the connection at once: ${hint}`], place)
}

/** It was reached, and says nothing. */
export function muteProblem(place: RedisPlace): RedisProblem {
  const hint = place.tls ? ': is it redis:// instead of rediss://?' : ''
  const what = place.isCluster ? 'none of the nodes at $at answers' : '$at does not answer'
  return problemIn([/./, 'away', 'ETIMEDOUT', `${what}${hint}`], place)
}

/** @param mode what the server calls itself in its reply to HELLO */
export function modeProblem(mode: string, place: RedisPlace): RedisProblem | undefined {
  if (mode === 'cluster' && !place.isCluster) return problemOf(new Error('CROSSSLOT'), place)
  if (mode !== 'sentinel') return undefined
  return problemIn(
    [
      /./,
      'settings',
      'SENTINEL',
      '$at is a Sentinel: set $settings_URL=redis+sentinel://$at/NAME, with the name of the master that it watches',
    ],
    place,
  )
}

function problemIn([, kind, code, message]: Row, { at, host, settings }: RedisPlace, what?: string): RedisProblem {
  const filled = message
    .replaceAll('$at', () => at)
    .replace('$host', () => host)
    .replaceAll('$settings', () => settings)
    .replace('$what', () => (what === undefined ? '' : ` (${what})`))
  return { kind, code, message: filled }
}
