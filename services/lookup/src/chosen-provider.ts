import { ipasis } from '@ipfleet/upstream/providers/ipasis.ts'
import { ipinfo } from '@ipfleet/upstream/providers/ipinfo.ts'
import type { Provider } from '@ipfleet/upstream/providers/provider.ts'
import type { LookupSettings } from './settings.ts'

export interface ChosenProvider {
  readonly provider: Provider
  /** The setting that lists its keys. */
  readonly keysSetting: 'IPINFO_KEYS' | 'IPASIS_KEYS'
}

type ProviderSettings = Pick<
  LookupSettings,
  'PROVIDER' | 'IPINFO_BASE_URL' | 'IPINFO_API_BASE_URL' | 'IPASIS_BASE_URL' | 'UPSTREAM_RULES'
>

/** The provider that PROVIDER names. Each has keys of its own: those of one are never sent to another. */
export function chosenProvider(settings: ProviderSettings): ChosenProvider {
  switch (settings.PROVIDER) {
    case 'ipinfo': {
      const hosts = { legacy: settings.IPINFO_BASE_URL, api: settings.IPINFO_API_BASE_URL }
      return { provider: ipinfo(hosts, settings.UPSTREAM_RULES), keysSetting: 'IPINFO_KEYS' }
    }
    case 'ipasis':
      return { provider: ipasis(settings.IPASIS_BASE_URL, settings.UPSTREAM_RULES), keysSetting: 'IPASIS_KEYS' }
  }
}
