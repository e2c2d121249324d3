import { type ApiKey, apiKey } from '@ipfleet/key-pool/api-key.ts'
import { ipinfoProducts } from '@ipfleet/upstream/providers/ipinfo-products.ts'
import { keyFault } from './key-fault.ts'
import { providerNames } from '@ipfleet/upstream/providers/provider.ts'

/** What is wrong with a file of keys, in words that hold no secret. */
export class KeysFileError extends Error {
  override readonly name = 'KeysFileError'
}

/** Products that may be declared: those that a plan may have or lack. */
const productNames: ReadonlySet<string> = new Set(
  ipinfoProducts.flatMap(({ name, kind }) => (kind === 'plan' || kind === 'module' ? [name] : [])),
)

const maxFaultsTold = 5
const weight = /^(?:\d{1,4}|\d{0,4}\.\d{1,3})$/
const units = /^[1-9]\d{0,14}$/

/** What may be told of a key, behind it on its line: how it is written, and what it becomes. */
const attributes: Readonly<
  Record<string, { fits: (text: string) => boolean; is: string; read: (text: string) => Partial<ApiKey> }>
> = {
  weight: {
    fits: (text) => weight.test(text) && Number(text) > 0,
    is: 'a number above 0, below 10000',
    read: (text) => ({ weight: Number(text) }),
  },
  group: {
    fits: (text) => /^[\w.-]{1,64}$/.test(text),
    is: 'up to 64 letters, digits, dots, dashes',
    read: (text) => ({ group: text }),
  },
  products: {
    fits: (text) => text.split(',').every((name) => productNames.has(name)),
    is: `a list of ${[...productNames].join(', ')}, with commas and without spaces`,
    read: (text) => ({ products: text.split(',') }),
  },
  overage: {
    fits: (text) => text === 'pay' || text === 'never',
    is: 'pay or never',
    read: (text) => ({ overage: text === 'pay' ? 'pay' : 'never' }),
  },
  max_per_day: {
    fits: (text) => units.test(text),
    is: 'a whole number from 1',
    read: (text) => ({ maxPerDay: Number(text) }),
  },
  provider: {
    fits: (text) => providerNames.some((name) => name === text),
    is: providerNames.join(' or '),
    read: (text) => ({ provider: text }),
  },
}

/**
 * One key a line, with what is to be known of it: `TOKEN weight=2 group=acme overage=pay`. Lines that are empty or
 * begin with `#` say nothing. A file without keys is an error: editors empty a file before they write it.
 * @throws KeysFileError that names the lines at fault
 */
export function parseKeysFile(text: string): ApiKey[] {
  const lines = new Map<string, number>()
  const keys: ApiKey[] = []
  const faults: string[] = []
  for (const [index, line] of text
    .replace(/^\uFEFF/, '')
    .split(/\r?\n/)
    .entries()) {
    const words = line.trim().split(/\s+/)
    if (words[0] === '' || words[0]?.startsWith('#')) continue
    const key = keyOf(words)
    if (typeof key === 'string') {
      faults.push(`line ${index + 1}: ${key}`)
      continue
    }
    const earlier = lines.get(key.id)
    if (earlier === undefined) lines.set(key.id, index + 1)
    else faults.push(`line ${index + 1} repeats the key of line ${earlier}`)
    keys.push(key)
  }
  if (faults.length > 0) throw new KeysFileError(inOneLine(faults))
  if (keys.length === 0) throw new KeysFileError('holds no keys')
  return keys
}

function inOneLine(faults: readonly string[]): string {
  const rest = faults.length - maxFaultsTold
  return [...faults.slice(0, maxFaultsTold), ...(rest > 0 ? [`and ${rest} more`] : [])].join('; ')
}

/** @returns what is wrong with the line, if it is no key. What stood there is not shown: it may be a key. */
function keyOf([secret = '', ...given]: readonly string[]): ApiKey | string {
  const fault = keyFault(secret)
  if (fault !== undefined) return fault
  const told: Partial<ApiKey>[] = []
  for (const text of given) {
    const [name, value] = splitAt(text, '=')
    const attribute = Object.hasOwn(attributes, name) ? attributes[name] : undefined
    if (!attribute) return `after the key come ${Object.keys(attributes).join('=…, ')}=… only`
    if (!attribute.fits(value)) return `${name} is ${attribute.is}`
    told.push(attribute.read(value))
  }
  return Object.assign(apiKey(secret), ...told) as ApiKey
}

function splitAt(text: string, separator: string): [string, string] {
  const [name = '', ...rest] = text.split(separator)
  return [name, rest.join(separator)]
}

/** The keys of the setting and of the file together; of a key that is in both, the file says more. */
export function unionOf(listed: readonly string[], filed: readonly ApiKey[]): ApiKey[] {
  return [...new Map([...listed.map((secret) => apiKey(secret)), ...filed].map((key) => [key.id, key])).values()]
}
