/** What clients may speak. */
export const protocols = ['http', 'socks5'] as const
export type Protocol = (typeof protocols)[number]
