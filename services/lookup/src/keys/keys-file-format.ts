import { type ApiKey, apiKey } from '@ipfleet/key-pool/api-key.ts'

/** What is wrong with a file of keys, in words that hold no secret. */
export class KeysFileError extends Error {
  override readonly name = 'KeysFileError'
}

const token = /^[\u0021-\u007e]+$/
const group = /^[\w.-]{1,64}$/
const weight = /^(?:\d{1,4}|\d{0,4}\.\d{1,3})$/

/**
 * One key a line, with what is to be known of it: `TOKEN weight=2 group=acme`. Lines that are empty or begin with `#`
 * say nothing. A file without keys is an error: editors empty a file before they write it.
 * @throws KeysFileError that names the line
 */
export function parseKeysFile(text: string): ApiKey[] {
  const lines = new Map<string, number>()
  const keys: ApiKey[] = []
  for (const [index, line] of text
    .replace(/^\uFEFF/, '')
    .split(/\r?\n/)
    .entries()) {
    const words = line.trim().split(/\s+/)
    if (words[0] === '' || words[0]?.startsWith('#')) continue
    const key = keyOf(words, index + 1)
    const earlier = lines.get(key.id)
    if (earlier !== undefined) throw new KeysFileError(`line ${index + 1} repeats the key of line ${earlier}`)
    lines.set(key.id, index + 1)
    keys.push(key)
  }
  if (keys.length === 0) throw new KeysFileError('it holds no keys')
  return keys
}

function keyOf([secret = '', ...attributes]: readonly string[], line: number): ApiKey {
  const fault = (what: string): KeysFileError => new KeysFileError(`line ${line}: ${what}`)
  if (!token.test(secret)) throw fault('a key is visible ASCII characters')
  const given = new Map(attributes.map((attribute) => splitAt(attribute, '=')))
  const { weight: weighs, group: account, ...others } = Object.fromEntries(given)
  // What it was is not shown: it may be a key.
  if (Object.keys(others).length > 0) throw fault('after the key come weight=… and group=… only')
  if (account !== undefined && !group.test(account)) throw fault('a group is up to 64 letters, digits, dots, dashes')
  if (weighs !== undefined && !(weight.test(weighs) && Number(weighs) > 0)) {
    throw fault('a weight is a number above 0, below 10000')
  }
  return {
    ...apiKey(secret),
    ...(weighs !== undefined && { weight: Number(weighs) }),
    ...(account !== undefined && { group: account }),
  }
}

function splitAt(text: string, separator: string): [string, string] {
  const [name = '', ...rest] = text.split(separator)
  return [name, rest.join(separator)]
}

/** The keys of the setting and of the file together; of a key that is in both, the file says more. */
export function unionOf(listed: readonly string[], filed: readonly ApiKey[]): ApiKey[] {
  return [...new Map([...listed.map((secret) => apiKey(secret)), ...filed].map((key) => [key.id, key])).values()]
}
