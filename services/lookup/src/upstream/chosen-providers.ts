import { ipasis } from '@ipfleet/upstream/providers/ipasis.ts'
import { ipinfo } from '@ipfleet/upstream/providers/ipinfo.ts'
import type { Provider, ProviderName } from '@ipfleet/upstream/providers/provider.ts'
import type { LookupSettings } from '../settings.ts'

export interface ChosenProvider {
  readonly name: ProviderName
  readonly provider: Provider
  /** The setting that lists its keys. */
  readonly keysSetting: 'IPINFO_KEYS' | 'IPASIS_KEYS'
}

type ProviderSettings = Pick<
  LookupSettings,
  'PROVIDER' | 'IPINFO_BASE_URL' | 'IPINFO_API_BASE_URL' | 'IPASIS_BASE_URL' | 'UPSTREAM_RULES'
>

/** The providers that PROVIDER names. Each has keys of its own: those of one are never sent to another. */
export function chosenProviders(settings: ProviderSettings): { first: ChosenProvider; second?: ChosenProvider } {
  const [first, second] = settings.PROVIDER.map((name) => chosen(name, settings))
  return { first: first ?? chosen('ipinfo', settings), ...(second && { second }) }
}

function chosen(name: ProviderName, settings: ProviderSettings): ChosenProvider {
  const { UPSTREAM_RULES: rules } = settings
  switch (name) {
    case 'ipinfo': {
      const hosts = { legacy: settings.IPINFO_BASE_URL, api: settings.IPINFO_API_BASE_URL }
      return { name, provider: ipinfo(hosts, rules), keysSetting: 'IPINFO_KEYS' }
    }
    case 'ipasis':
      return { name, provider: ipasis(settings.IPASIS_BASE_URL, rules), keysSetting: 'IPASIS_KEYS' }
  }
}
