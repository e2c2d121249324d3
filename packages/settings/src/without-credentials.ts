/** Also for text that is no URL: everything up to the last `@` may be a password, everything after `?` a token. */
export function withoutCredentials(url: string): string {
  return url.replace(/^.*@/s, '***@').replace(/\?.*$/s, '?***')
}
