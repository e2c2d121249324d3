/** Every provider that can be asked, by the name that settings know it under. */
export const providerNames = ['ipinfo', 'ipasis'] as const

export type ProviderName = (typeof providerNames)[number]
