import dns from 'node:dns/promises'
import { readFileSync } from 'node:fs'
import { syncBuiltinESMExports } from 'node:module'

/**
 * Loaded before a program, this stands in for the system's resolver: names have the addresses that the file in
 * TEST_NAMES gives them at the time (`{"fleet.test": ["127.0.0.2"]}`). For a name with null no answer ever comes.
 */
async function lookup(hostname: string): Promise<{ address: string; family: 4 }[]> {
  const names = JSON.parse(readFileSync(process.env['TEST_NAMES'] ?? '', 'utf8')) as Record<string, string[] | null>
  if (names[hostname] === null) return new Promise(() => {})
  const addresses = names[hostname] ?? []
  if (addresses.length === 0) throw Object.assign(new Error('no such name'), { code: 'ENOTFOUND' })
  return addresses.map((address) => ({ address, family: 4 }))
}

Object.assign(dns, { lookup })
syncBuiltinESMExports()
