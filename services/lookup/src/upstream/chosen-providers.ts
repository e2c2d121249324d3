import { text } from '@ipfleet/settings/kinds.ts'
import type { Setting } from '@ipfleet/settings/setting.ts'
import { ipasis } from '@ipfleet/upstream/providers/ipasis.ts'
import { ipinfo } from '@ipfleet/upstream/providers/ipinfo.ts'
import { type Provider, type ProviderName, providerNames } from '@ipfleet/upstream/providers/provider.ts'
import type { LookupSettings } from '../settings.ts'

/** The setting `PROVIDER`: one name, or two, of which the second stands in for the first. */
export function providerList(options: {
  readonly help: string
  readonly group: string
}): Setting<readonly ProviderName[]> {
  const allowed = `${providerNames.join(' or ')}, or both with a comma`
  const given = text({ ...options, default: '', allowed })
  const parser = given.parser.transform((value, context): readonly ProviderName[] => {
    const words = value.split(',').map((word) => word.trim().toLowerCase())
    const names = words.flatMap((word) => providerNames.filter((name) => name === word))
    if (names.length === words.length && new Set(names).size === names.length) return names
    context.addIssue({ code: 'invalid_value', values: [...providerNames], input: value })
    return []
  })
  return {
    ...given,
    parser,
    presence: { kind: 'default', value: ['ipinfo'] },
    show: (names) => names.join(','),
    secretsIn: () => [],
  }
}

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
