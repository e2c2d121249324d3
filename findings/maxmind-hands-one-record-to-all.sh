#!/usr/bin/env bash
# npm's maxmind gives all addresses of a country one object: who adds "ip" to a record changes the answers for others.
#
# maxmind 5.0.7 on mmdb-lib 3.0.3 (npm). An MMDB stores a record once for all networks that have it. maxmind caches what it
# decodes by the record's place in the file (10,000 of them by default), and hands out the cached object itself, neither
# copied nor frozen. In a country database that is one object for all addresses of a country. mmdb-lib without a cache, and
# maxminddb of Python, decode anew for each look-up. The README tells of the cache, and not that addresses share objects.
# Why it matters: "const record = reader.get(ip); record.ip = ip; return record" is how a look-up service is written. Each
# answer that is kept, or waits for something before it is serialised, ends up with the address of a later request. One that
# deletes or translates a field does so for a whole country, until the process ends.
# Instead: {...record} before anything is added (structuredClone for what is nested), or mmdb-lib without a cache.
#
# Needs: node (20 or newer) with npm.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
npm install --silent --no-audit --no-fund --ignore-scripts --prefix . \
  maxmind@5.0.7 mmdb-lib@3.0.3 @ip-location-db/geolite2-country-mmdb@2.3.2026061719

cat >finding.mjs <<'EOF'
import { readFileSync } from 'node:fs'
import maxmind from 'maxmind'
import { Reader } from 'mmdb-lib'

const file = 'node_modules/@ip-location-db/geolite2-country-mmdb/geolite2-country.mmdb'
const readers = { maxmind: await maxmind.open(file), 'mmdb-lib': new Reader(readFileSync(file)) }

console.log('maxmind 5.0.7, mmdb-lib 3.0.3')
console.log('expected: each record has the address that it was asked for, and a later look-up has none')
const seen = Object.entries(readers).map(([name, reader]) => {
  const records = ['8.8.8.8', '4.4.4.4', '3.3.3.3'].map((ip) => Object.assign(reader.get(ip), { ip }))
  const later = reader.get('6.6.6.6')
  return `${name}: ${records.map(({ ip }) => ip).join(' ')}, then for 6.6.6.6: ${JSON.stringify(later)}`
})
for (const line of seen) console.log(`seen: ${line}`)
const known = [
  'maxmind: 3.3.3.3 3.3.3.3 3.3.3.3, then for 6.6.6.6: {"country_code":"US","ip":"3.3.3.3"}',
  'mmdb-lib: 8.8.8.8 4.4.4.4 3.3.3.3, then for 6.6.6.6: {"country_code":"US"}',
]
if (seen.join() !== known.join()) {
  console.error('this has changed')
  process.exit(1)
}
EOF
node finding.mjs
