/** What a URL of a setting may have or not. */
export type UrlPart = 'credentials' | 'path' | 'query'

const partsInWords: Readonly<Record<UrlPart, string>> = {
  credentials: 'a user or password in it is not used',
  path: 'a path in it is not used',
  query: 'a query in it is not used',
}

/**
 * What is wrong with a URL that can be parsed and never work: in words that hold nothing of it, since it may hold a
 * password. @param without what has no meaning there
 */
export function urlFault(given: string, without: readonly UrlPart[]): string | undefined {
  const url = new URL(given)
  if (/\s/.test(given)) return 'there is a blank in it'
  if (url.port === '0') return 'there is no port 0'
  if (!isDecodable(url.username) || !isDecodable(url.password)) return 'a % in its user or password is written %25'
  if (given.includes('#')) return 'a # ends it; in a user or password it is written %23'
  const has: Readonly<Record<UrlPart, boolean>> = {
    credentials: url.username !== '' || url.password !== '',
    path: /[^/]/.test(url.pathname),
    query: given.includes('?'),
  }
  const needless = without.find((part) => has[part])
  return needless && partsInWords[needless]
}

function isDecodable(text: string): boolean {
  try {
    decodeURIComponent(text)
    return true
  } catch {
    return false
  }
}
