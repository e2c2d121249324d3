/** The kinds of values that only this file has. */

import { readHost, readPort } from '@ipfleet/net/authority.ts'
import { maxTimerMs } from '@ipfleet/settings/kinds.ts'
import { allowedBy, kind, preset, required, table, tableOr } from '@ipfleet/settings/toml-schema.ts'
import { fileOf, listOf, textOf, textual, wholeIn, wholeNumber } from '@ipfleet/settings/toml-kinds.ts'

export interface ListenAddress {
  /** '' is every address of the machine, of both families where it has both. */
  readonly host: string
  readonly port: number
}

/** `host:port`, `[::]:8080` or `:8080`; port 0 takes a free one. */
export const listenAddress = textual('"host:port", "[::]:port" or ":port" for all addresses', listenAddressIn)

function listenAddressIn(text: string): ListenAddress | undefined {
  const [, written, digits = ''] = /^(.*):(\d+)$/s.exec(text) ?? []
  const host = written === '' ? '' : readHost(written ?? ':')?.host
  const port = digits === '0' ? 0 : readPort(digits)
  return host === undefined || port === undefined ? undefined : { host, port }
}

/** "auto", 0, or a time that is worth waiting. */
export const hedgeAfter = kind<'auto' | number>(
  `"auto", 0 or whole milliseconds from 250 to ${maxTimerMs}`,
  (given) => {
    if (textOf(given)?.toLowerCase() === 'auto') return 'auto'
    return given === 0 ? 0 : wholeIn(250, maxTimerMs)(given)
  },
)

/** The path of a URL as requests have it: `/` and visible ASCII characters. */
const urlPathForm = /^\/[!-~]*$/
const pathInWords = 'a path that begins with /'

/** What a request's path is compared with: without a query. */
const urlPathIn = (text: string) => (urlPathForm.test(text) && !/[?#]/.test(text) ? text : undefined)
/** What is sent as it is, a query included. */
const requestTargetIn = (text: string) => (urlPathForm.test(text) && !text.includes('#') ? text : undefined)

export const urlPath = textual(pathInWords, urlPathIn)
export const requestTarget = textual(pathInWords, requestTargetIn)
export const urlPathOrNone = textual(`${pathInWords}, or ""`, (text) => (text === '' ? '' : urlPathIn(text)))
export const requestTargetOrNone = textual(`${pathInWords}, or ""`, (text) =>
  text === '' ? '' : requestTargetIn(text),
)

/** A path with all below it. Slashes at its end make no difference and go; with `//` or dots it would match nothing. */
export const pathPrefix = textual(pathInWords, (text) => {
  const isPrefix = urlPathForm.test(text) && !/[?#]|\/\/|\/\.{1,2}(\/|$)/.test(text)
  return isPrefix ? text.replace(/(?<=.)\/$/, '') : undefined
})

/** A method of HTTP (RFC 9110 §9.1), which is in upper case. */
export const method = textual('the name of a method, such as "GET"', (text) =>
  /^[A-Z][A-Z-]*$/.test(text) ? text : undefined,
)

/** A file that is there and can be read, as an absolute path. */
export const readableFile = fileOf('that can be read', (path) => path)

export type KeyExtractor =
  | { readonly kind: 'client_ip' }
  | { readonly kind: 'token' }
  /** Lower case. */
  | { readonly kind: 'header'; readonly name: string }

/** A field name (RFC 9110, section 5.1). */
const headerForm = /^header:([!#$%&'*+.^_`|~\w-]+)$/

/** Who counts as one client. */
export const keyExtractor = textual('"client_ip", "token" or "header:<name>"', keyExtractorIn)

function keyExtractorIn(text: string): KeyExtractor | undefined {
  if (text === 'client_ip' || text === 'token') return { kind: text }
  const name = headerForm.exec(text)?.[1]
  return name === undefined ? undefined : { kind: 'header', name: name.toLowerCase() }
}

export interface BackendConfig {
  readonly protocol: 'http:' | 'https:'
  /** A name or an address, without brackets. */
  readonly hostname: string
  readonly port: number
  /** From 1; a backend with 2 gets twice as much as one with 1. */
  readonly weight: number
}

const backendUrl = textual('"http://host:port" or "https://host:port", without user, path and query', backendUrlIn)

function backendUrlIn(text: string): Omit<BackendConfig, 'weight'> | undefined {
  const [, scheme = '', host = '', digits] = /^(https?):\/\/([^/]*?)(?::(\d+))?\/?$/i.exec(text) ?? []
  const protocol = scheme.toLowerCase() === 'https' ? 'https:' : 'http:'
  const hostname = readHost(host)?.host
  const port = digits === undefined ? (protocol === 'https:' ? 443 : 80) : readPort(digits)
  return hostname === undefined || port === undefined ? undefined : { protocol, hostname, port }
}

const weight = wholeNumber(1, 1000)
const backend = tableOr<BackendConfig>(
  table({ url: required(backendUrl, ''), weight: preset(weight, 1, '') }).transform(({ url, weight: share }) => ({
    ...url,
    weight: share,
  })),
  backendUrl.transform((url) => ({ ...url, weight: 1 })),
  `"http://host:port", "https://host:port" or { url = "…", weight = 2 }; weight: ${allowedBy(weight)}`,
)

/** The backends of a group, each once: `weight` is what gives one a larger share. */
export const backendList = listOf(backend, { min: 1 }).superRefine((backends, context) => {
  const names = backends.map(({ protocol, hostname, port }) => `${protocol} ${hostname} ${port}`)
  for (const [index, name] of names.entries()) {
    if (names.indexOf(name) === index) continue
    const message = 'this backend is in the list already; weight gives one a larger share'
    context.addIssue({ code: 'custom', path: [index], message })
  }
})
