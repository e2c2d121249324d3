import { certificateFault } from '@ipfleet/http-server/certificate.ts'
import { redisRules } from '@ipfleet/redis/redis-settings.ts'
import type { Rule } from '@ipfleet/settings/load-settings.ts'
import type { EgressSettings } from './settings.ts'
import { readIpPool } from './sources/ip-pool.ts'

/** What settings must keep to together. */
export const settingsRules: readonly Rule<EgressSettings>[] = [
  ...redisRules('REDIS'),
  {
    about: ['IP_POOL'],
    fault: ({ IP_POOL: items }) => {
      const pool = readIpPool(items)
      return pool.kind === 'faults' ? pool.faults.join('; ') : undefined
    },
  },
  {
    about: ['PROXY_USER', 'PROXY_PASS'],
    fault: ({ PROXY_USER: user, PROXY_PASS: password }) =>
      user !== undefined && password === undefined ? 'needs PROXY_PASS' : undefined,
  },
  {
    about: ['PROXY_PASS', 'PROXY_USER'],
    fault: ({ PROXY_USER: user, PROXY_PASS: password }) =>
      user === undefined && password !== undefined ? 'needs PROXY_USER' : undefined,
  },
  {
    about: ['TLS_LISTEN_ADDR', 'TLS_CERT', 'TLS_KEY'],
    fault: ({ TLS_LISTEN_ADDR: address, TLS_CERT: cert, TLS_KEY: key }) => {
      const isAllOrNone = new Set([address, cert, key].map((one) => one === undefined)).size === 1
      return isAllOrNone ? undefined : 'TLS_LISTEN_ADDR, TLS_CERT and TLS_KEY are set together, or not at all'
    },
  },
  {
    about: ['TLS_CERT', 'TLS_KEY'],
    fault: (settings) => servedCertificateFault(settings),
  },
  {
    about: ['TLS_CERT', 'TLS_KEY'],
    onlyChecked: true,
    fault: (settings) => (servedCertificateFault(settings) ? undefined : servedCertificateFault(settings, Date.now())),
  },
  {
    about: ['HEALTH_CHECK_URL'],
    fault: ({ HEALTH_CHECK_URL: given }) =>
      given?.toLowerCase().startsWith('tcp:') && new URL(given).port === '' ? 'needs a port after tcp://' : undefined,
  },
]

function servedCertificateFault(
  { TLS_CERT: cert, TLS_KEY: key }: Pick<EgressSettings, 'TLS_CERT' | 'TLS_KEY'>,
  validAtMs?: number,
): string | undefined {
  if (cert === undefined || key === undefined) return undefined
  return certificateFault({ cert, key }, validAtMs === undefined ? {} : { validAtMs })
}
