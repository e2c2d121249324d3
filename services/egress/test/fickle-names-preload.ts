import dns from 'node:dns'
import { syncBuiltinESMExports } from 'node:module'
import { isIP } from 'node:net'

/**
 * Loaded before a program, this stands in for the system's resolver, as a hostile name server would: TEST_ANSWERS has,
 * for each name, the addresses that each look-up of it gives in turn (`{"a.test": ["192.0.2.1", "127.0.0.1"]}`); the last
 * stays. It does not matter by which of Node's functions the name is looked up.
 */
const answers = JSON.parse(process.env['TEST_ANSWERS'] ?? '{}') as Record<string, string[]>

interface Found {
  readonly address: string
  readonly family: 4
}

type Callback = (error: Error | null, address: string | Found[], family?: 4) => void

function next(name: string): Found {
  const [address, ...later] = isIP(name) > 0 ? [name] : (answers[name] ?? [])
  if (address === undefined) throw Object.assign(new Error('no such name'), { code: 'ENOTFOUND' })
  if (later.length > 0) answers[name] = later
  return { address, family: 4 }
}

function lookup(name: string, ...rest: [options: { readonly all?: boolean }, callback: Callback] | [Callback]): void {
  const [callback = () => {}, options = {}] = rest.toReversed() as [Callback?, { readonly all?: boolean }?]
  const found = next(name)
  if (options.all === true) callback(null, [found])
  else callback(null, found.address, found.family)
}

Object.assign(dns, { lookup })
Object.assign(dns.promises, { lookup: async (name: string) => [next(name)] })
syncBuiltinESMExports()
