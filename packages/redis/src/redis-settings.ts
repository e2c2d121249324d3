import { milliseconds, path, secretText, text } from '@ipfleet/settings/kinds.ts'
import type { Rule } from '@ipfleet/settings/load-settings.ts'
import { type CommonOptions, type Given, grouped, type Setting } from '@ipfleet/settings/setting.ts'
import { url } from '@ipfleet/settings/url-setting.ts'
import { defaultPrefix } from './fleet-names.ts'
import type { RedisAccess } from './redis-access.ts'
import { type RedisAddress, redisAddress, redisProtocols, redisUrlFault, severalHosts } from './redis-address.ts'
import { caFault, certificateFault } from './tls-files.ts'

const group = 'Redis'
const ofRequest = { default: 100, help: 'How long one request may wait for Redis, in all its commands together' }

/** What all services can be told about Redis, apart from where it is. */
export const redisSettings = ({ timeout = ofRequest } = {}) => ({
  ...redisAccessSettings('REDIS'),
  ...grouped(group, {
    REDIS_PREFIX: text({
      default: defaultPrefix,
      pattern: /^[\w.-]{1,64}$/,
      allowed: 'up to 64 letters, digits, dots, dashes and underscores',
      help: 'The name of the fleet, before every key and channel. Fleets with different names, or in different databases, share nothing in one Redis',
    }),
    REDIS_TIMEOUT_MS: milliseconds({ min: 5, max: 10_000, ...timeout }),
  }),
})

/**
 * Where a Redis is: `redis://user:password@host:6379/0`, `rediss://` with TLS, `unix:///path/to/socket?db=0`,
 * `redis+sentinel://user:password@host1:26379,host2,host3/mymaster/0`, `rediss+sentinel://`,
 * `redis+cluster://user:password@host1:6379,host2,host3`, `rediss+cluster://`.
 * `<NAME>_FILE` may name a file that holds it.
 */
export function redisUrl<Optional extends boolean = false>(
  options: CommonOptions<string, Optional>,
): Setting<Given<string, Optional>> {
  const setting = url({ ...options, protocols: redisProtocols, severalHosts, fault: redisUrlFault, fromFile: true })
  return { ...setting, group }
}

const accessNames = [
  'USERNAME',
  'PASSWORD',
  'CA',
  'CERT',
  'KEY',
  'SENTINEL_USERNAME',
  'SENTINEL_PASSWORD',
  'NAT_MAP',
] as const

const hostPort = String.raw`[^\s=,]+:\d{1,5}`
const natMapForm = new RegExp(`^${hostPort}=${hostPort}(,${hostPort}=${hostPort})*$`)

type AccessName = (typeof accessNames)[number]

/** How the server of `<PREFIX>_URL` is reached. */
export function redisAccessSettings<const Prefix extends string>(prefix: Prefix) {
  const common = { optional: true } as const
  const settings: Readonly<Record<AccessName, Setting<string | undefined>>> = {
    USERNAME: text({ ...common, help: `The user, if it is not in ${prefix}_URL. Unset: the server’s default user` }),
    PASSWORD: secretText({ ...common, help: `The password, if it is not in ${prefix}_URL` }),
    CA: path({
      ...common,
      help: `A PEM file of the authorities whose certificates are accepted with rediss://. Unset: those that Node.js knows`,
    }),
    CERT: path({ ...common, help: 'A PEM file of the certificate that this service shows the server' }),
    KEY: path({ ...common, help: `A PEM file of the key of ${prefix}_CERT` }),
    SENTINEL_USERNAME: text({ ...common, help: 'The user for the Sentinels, which have users of their own' }),
    SENTINEL_PASSWORD: secretText({ ...common, help: 'The password for the Sentinels, if they want one' }),
    NAT_MAP: text({
      ...common,
      pattern: natMapForm,
      allowed: 'HOST:PORT=HOST:PORT, with commas between several',
      help: 'For a Cluster or Sentinels behind NAT, or whose certificates have other names: what they call a server, and where it is reached: 10.0.0.5:6379=redis-1.example.com:7001',
    }),
  }
  const named = Object.entries(settings).map(([name, setting]) => [`${prefix}_${name}`, setting])
  return grouped(group, Object.fromEntries(named) as Record<`${Prefix}_${AccessName}`, Setting<string | undefined>>)
}

type AccessSettings<Prefix extends string> = Readonly<Record<`${Prefix}_${AccessName | 'URL'}`, string | undefined>>

/** What the settings that begin with `prefix` say of a Redis; undefined when there is none. */
export function redisAccess<const Prefix extends string>(
  settings: AccessSettings<Prefix>,
  prefix: Prefix,
): RedisAccess | undefined {
  const { URL, ...given } = valuesOf(settings, prefix)
  if (URL === undefined) return undefined
  return {
    url: URL,
    username: given.USERNAME,
    password: given.PASSWORD,
    tls: { ca: given.CA, cert: given.CERT, key: given.KEY },
    sentinelUsername: given.SENTINEL_USERNAME,
    sentinelPassword: given.SENTINEL_PASSWORD,
    natMap: given.NAT_MAP,
    settings: prefix,
  }
}

type Values = Readonly<Record<AccessName | 'URL', string | undefined>>

function valuesOf<Prefix extends string>(settings: AccessSettings<Prefix>, prefix: Prefix): Values {
  const names = ['URL', ...accessNames] as const
  // The compiler cannot follow names through entries.
  return Object.fromEntries(names.map((name) => [name, settings[`${prefix}_${name}`]])) as Values
}

/** What must be so of the settings that begin with `prefix`, and of the files that they name. */
export function redisRules<const Prefix extends string>(prefix: Prefix): readonly Rule<AccessSettings<Prefix>>[] {
  const rule = (about: readonly (AccessName | 'URL')[], fault: (values: Values) => string | undefined) => ({
    about: about.map((name) => `${prefix}_${name}` as const),
    fault: (settings: AccessSettings<Prefix>) => fault(valuesOf(settings, prefix)),
  })
  const needsUrl = (name: AccessName) =>
    rule([name, 'URL'], (values) =>
      values[name] !== undefined && values.URL === undefined ? `needs ${prefix}_URL` : undefined,
    )
  /** What is wrong with a setting that does not go with what the URL says. */
  const misfits = (name: AccessName, isMisfit: (address: RedisAddress) => boolean, message: string) =>
    rule([name, 'URL'], (values) =>
      values[name] !== undefined && values.URL !== undefined && isMisfit(redisAddress(values.URL))
        ? message
        : undefined,
    )
  const begin = `${prefix}_URL does not begin with`
  const needsTls = (name: AccessName) => misfits(name, ({ tls }) => !tls, `is for TLS, and ${begin} rediss`)
  const needsSentinels = (name: AccessName) =>
    misfits(name, ({ topology }) => topology !== 'sentinel', `is for Sentinels, and ${begin} redis+sentinel`)
  const isTwice = (word: string) => `is set, and ${prefix}_URL has a ${word} too; keep one of them`
  return [
    ...accessNames.map(needsUrl),
    ...(['CA', 'CERT', 'KEY'] as const).map(needsTls),
    ...(['SENTINEL_USERNAME', 'SENTINEL_PASSWORD'] as const).map(needsSentinels),
    misfits(
      'NAT_MAP',
      ({ topology }) => topology === 'server',
      `is for a Cluster or Sentinels, and ${prefix}_URL names one server`,
    ),
    rule(['SENTINEL_USERNAME', 'SENTINEL_PASSWORD'], (values) =>
      values.SENTINEL_USERNAME !== undefined && values.SENTINEL_PASSWORD === undefined
        ? `needs ${prefix}_SENTINEL_PASSWORD`
        : undefined,
    ),
    misfits('USERNAME', ({ username }) => username !== undefined, isTwice('user')),
    misfits('PASSWORD', ({ password }) => password !== undefined, isTwice('password')),
    rule(['USERNAME', 'PASSWORD', 'URL'], userFault(prefix)),
    rule(['CA'], ({ CA }) => (CA === undefined ? undefined : caFault(CA))),
    rule(['CERT', 'KEY'], ({ CERT, KEY }) => {
      if (CERT !== undefined && KEY !== undefined) return certificateFault(CERT, KEY)
      return CERT === undefined ? undefined : `needs ${prefix}_KEY`
    }),
    rule(['KEY', 'CERT'], ({ CERT, KEY }) =>
      KEY !== undefined && CERT === undefined ? `needs ${prefix}_CERT` : undefined,
    ),
  ]
}

/** ioredis 6.0.0 leaves a user without a password away, and goes on as the default user. */
function userFault(prefix: string) {
  return ({ URL, USERNAME, PASSWORD }: Values): string | undefined => {
    const address = URL === undefined ? undefined : redisAddress(URL)
    const user = USERNAME ?? address?.username
    const password = PASSWORD ?? address?.password
    if (address === undefined || user === undefined || password !== undefined) return undefined
    return `a user without a password: set ${prefix}_PASSWORD`
  }
}
