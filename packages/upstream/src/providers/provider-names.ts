/** Every provider that can be asked, by the name that settings know it under. */
export const providerNames: readonly string[] = ['ipinfo', 'ipasis']
