import { nearName } from './near-name.ts'
import { fileSuffix, type SettingsSchema } from './setting.ts'
import type { Sources } from './sources.ts'

/**
 * A line for each name in `.env` or the environment that is no setting and was probably meant as one: a slip, a name
 * that other software has for the same thing, or one that begins as settings of this program do.
 */
export function unknownNames({ env, dotEnv }: Sources, schema: SettingsSchema): readonly string[] {
  const known = namesIn(schema)
  const isSet = (name: string): boolean => (env[name]?.trim() ?? '') !== ''
  const inFile = Object.keys(dotEnv.values)
    .map((name) => ({ name, line: dotEnv.lineOf(name) ?? 0 }))
    .toSorted((a, b) => a.line - b.line)
    .map(({ name, line }) => ({ origin: `.env line ${line}`, name, advice: adviceOn(name, known) }))
  const inEnvironment = Object.keys(env)
    .filter((name) => isSet(name) && !orchestrated.test(name))
    .map((name) => ({ origin: 'environment', name, advice: adviceOn(name, known) }))
    // The variables of other programs are there as well, so one that has what it seems to mean beside it is theirs.
    .filter(({ advice }) => advice?.meant === undefined || !isSet(advice.meant))
  return [...inFile, ...inEnvironment].flatMap(({ origin, name, advice }) =>
    advice === undefined ? [] : [`${origin}: ${name} is not a setting; ${advice.text}`],
  )
}

function namesIn(schema: SettingsSchema): readonly string[] {
  return Object.entries(schema).flatMap(([name, { fromFile }]) => (fromFile ? [name, `${name}${fileSuffix}`] : [name]))
}

interface Advice {
  readonly text: string
  readonly meant?: string
}

function adviceOn(name: string, known: readonly string[]): Advice | undefined {
  if (known.includes(name) || knownElsewhere.has(name)) return undefined
  const meant = meantBy(name.toUpperCase(), known)
  if (meant !== undefined) return { text: `did you mean ${meant}?`, meant }
  const without = name.endsWith(fileSuffix) ? name.slice(0, -fileSuffix.length) : ''
  if (known.includes(without)) return { text: `${without} is not read from a file`, meant: without }
  const family = families.find((prefix) => name.startsWith(prefix))
  const members = known.filter((other) => family !== undefined && other.startsWith(family))
  return members.length === 0 ? undefined : { text: `those that begin so are ${members.join(', ')}` }
}

function meantBy(name: string, known: readonly string[]): string | undefined {
  if (known.includes(name)) return name
  const [, whole] = namesOfOthers.find(([pattern]) => pattern.test(name)) ?? []
  if (whole !== undefined && known.includes(whole)) return whole
  const suffix = name.endsWith(fileSuffix) ? fileSuffix : ''
  const bare = suffix === '' ? name : name.slice(0, -suffix.length)
  const [, other] = namesOfOthers.find(([pattern]) => pattern.test(bare)) ?? []
  const otherName = other === undefined ? undefined : other + suffix
  return otherName !== undefined && known.includes(otherName) ? otherName : nearName(name, known)
}

/** What SDKs, hosts and charts call the same thing. */
const namesOfOthers: readonly (readonly [RegExp, string])[] = [
  [/^IP_?INFO(_?IO)?_?((API|ACCESS|AUTH)_?)*(KEY|TOKEN|SECRET)S?$/, 'IPINFO_KEYS'],
  // The file of keys that Compose mounts is called KEYS.
  [/^(API_?)?KEYS$/, 'IPINFO_KEYS'],
  [/^IP_?ASIS_?((API|ACCESS|AUTH)_?)*(KEY|TOKEN|SECRET)S?$/, 'IPASIS_KEYS'],
  [/^PROXY_?USER_?NAME$/, 'PROXY_USER'],
  [/^PROXY_?(PASSWORD|PASSWD|PASSPHRASE|PWD)$/, 'PROXY_PASS'],
  [
    /^REDIS_?(URI|DSN|ADDR(ESS)?|HOST(NAME)?|SERVER|ENDPOINT|TLS_URL|CONNECTION(_STRING)?|SENTINELS?|CLUSTER|NODES|SOCKET|UNIX_SOCKET)$/,
    'REDIS_URL',
  ],
  [/^REDIS_?(USER|USR|LOGIN)$/, 'REDIS_USERNAME'],
  [/^REDIS_?(PASS|PASSWD|PASSPHRASE|PWD|AUTH|SECRET)$/, 'REDIS_PASSWORD'],
  [/^REDIS_?((TLS|SSL)_?)?(ROOT_?)?CA(_?CERTS?|_?BUNDLE)?(_?(FILE|PATH))?$/, 'REDIS_CA'],
  [/^REDIS_?((TLS|SSL)_?)?(CLIENT_?)?CERT(IFICATE)?(_?(FILE|PATH))?$/, 'REDIS_CERT'],
  [/^REDIS_?((TLS|SSL)_?)?(CLIENT_?)?(PRIVATE_?)?KEY(_?(FILE|PATH))?$/, 'REDIS_KEY'],
]

/** How names begin that hardly any other software has; not `LOG_`, `HOST_` or `CLIENT_`. */
const families = ['IPINFO_', 'IPASIS_', 'REDIS_', 'CACHE_', 'UPSTREAM_', 'BREAKER_', 'OFFLINE_', 'BULK_', 'WEBHOOK_']

/** Of those families, what another service or docker-compose.yml reads from the same `.env` (compose-file.test.ts). */
const knownElsewhere = new Set(
  (
    'REDIS_CACHE_URL REDIS_CACHE_URL_FILE REDIS_CACHE_USERNAME REDIS_CACHE_PASSWORD REDIS_CACHE_PASSWORD_FILE ' +
    'REDIS_CACHE_CA REDIS_CACHE_CERT REDIS_CACHE_KEY REDIS_CACHE_SENTINEL_USERNAME REDIS_CACHE_SENTINEL_PASSWORD ' +
    'REDIS_CACHE_SENTINEL_PASSWORD_FILE REDIS_CACHE_NAT_MAP REDIS_CACHE_MAXMEMORY REDIS_CACHE_MEM_LIMIT ' +
    'REDIS_MAXMEMORY REDIS_MEM_LIMIT REDIS_READ_FROM'
  ).split(' '),
)

/**
 * What Kubernetes and `docker run --link` put into the environment for a service called `redis` or `bulk`:
 * REDIS_SERVICE_HOST, REDIS_SERVICE_PORT_MAIN, REDIS_PORT, REDIS_PORT_6379_TCP_ADDR, REDIS_ENV_…. They do not write `.env`.
 */
const orchestrated = /_SERVICE_HOST$|_SERVICE_PORT(_\w+)?$|_PORT(_\d+_\w+)?$|_ENV_/
