#!/usr/bin/env bash
# ipaddr.js takes ::8.8.8.8 for 8.8.8.8, and ::808:808, which is the same address, for another one.
#
# ipaddr.js 2.5.0 (npm). The last 32 bits of an IPv6 address may be written with dots (RFC 4291, section 2.2, third form):
# ::8.8.8.8, 0::8.8.8.8 and ::808:808 are one address, of the deprecated IPv4-compatible kind (section 2.5.5.1). Only
# ::ffff:8.8.8.8 is IPv4-mapped (section 2.5.5.2). The library reads the first spelling, and only that, as ::ffff:8.8.8.8:
# isIPv4MappedAddress() is true, and process() makes 8.8.8.8 of it. Its README says that process() converts mapped addresses
# and that "all other addresses are returned as-is". ip-address 10.7.6 (npm) and Node's own net.BlockList have one address
# for all three.
# Why it matters: keys of caches, lists and counts of visitors that are made with the library have two entries for one
# address, and one of these is also that of 8.8.8.8, which is somebody else.
# Instead: let new URL(`http://[${text}]`).hostname write the address without dots before the library reads it.
#
# Needs: node (20 or newer) with npm.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
npm install --silent --no-audit --no-fund --ignore-scripts --prefix . ipaddr.js@2.5.0 ip-address@10.7.6

cat >finding.mjs <<'EOF'
import { BlockList } from 'node:net'
import { Address6 } from 'ip-address'
import ipaddr from 'ipaddr.js'

const list = new BlockList()
list.addAddress('::808:808', 'ipv6')
console.log('ipaddr.js 2.5.0, ip-address 10.7.6')
console.log('expected: ::808:808 three times, and not mapped')
const seen = []
for (const text of ['::808:808', '0::8.8.8.8', '::8.8.8.8']) {
  const parsed = ipaddr.parse(text)
  const read = `${parsed.toString()}, process() ${ipaddr.process(text).toString()}, mapped ${parsed.isIPv4MappedAddress()}`
  const others = `ip-address ${new Address6(text).correctForm()}, in BlockList ${list.check(text, 'ipv6')}`
  console.log(`seen:     ${text.padEnd(11)}${read.padEnd(52)}${others}`)
  seen.push(`${read}; ${others}`)
}
const others = 'ip-address ::808:808, in BlockList true'
const one = `::808:808, process() ::808:808, mapped false; ${others}`
const known = [one, one, `::ffff:808:808, process() 8.8.8.8, mapped true; ${others}`]
const isSame = seen.join('\n') === known.join('\n')
console.log(isSame ? 'as recorded' : 'CHANGED')
process.exit(isSame ? 0 : 1)
EOF
node finding.mjs
