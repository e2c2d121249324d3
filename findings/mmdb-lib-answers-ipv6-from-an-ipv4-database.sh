#!/usr/bin/env bash
# mmdb-lib answers an IPv6 address from an IPv4-only database, with the record of an unrelated IPv4 address.
#
# mmdb-lib 3.0.3 and maxmind 5.0.7 on top of it (npm). When the metadata say ip_version 4, the tree is 32 bits deep.
# mmdb-lib walks it with the first 32 bits of an IPv6 address: 2001:4860:4860::8888 gets the record of 32.1.72.96, an
# address of somebody else. The READMEs say "fully compatible with IPv6". The readers for Python and Go, like
# libmaxminddb, refuse: "You attempted to look up an IPv6 address in an IPv4-only database". The database below is public
# data, split by family as many makers publish it.
# Why it matters: nothing tells that the answer is wrong. All of 2001::/16 is answered by 32.1.0.0/16 (the USA), Europe's
# 2a00::/12 by 42.0.0.0/12 (East Asia).
# Instead: look at metadata.ipVersion before a look-up, and answer "not known" for IPv6 when it is 4.
#
# Needs: node (20 or newer) with npm, python3 (3.10 or newer) with venv.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
npm install --silent --no-audit --no-fund --ignore-scripts --prefix . \
  mmdb-lib@3.0.3 maxmind@5.0.7 @ip-location-db/geolite2-country-mmdb@2.3.2026061719
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check maxminddb==3.2.0
data=node_modules/@ip-location-db/geolite2-country-mmdb

cat >finding.mjs <<'EOF'
import { readFileSync } from 'node:fs'
import maxmind from 'maxmind'
import { Reader } from 'mmdb-lib'

const [ipv4File, bothFile] = process.argv.slice(2)
const ipv4Only = new Reader(readFileSync(ipv4File))
const wrapped = await maxmind.open(ipv4File)
const both = new Reader(readFileSync(bothFile))
for (const address of ['2a00:1450:4001:800::1', '2001:200:dff:fff1:216:3eff:feb1:44d7', '2001:4860:4860::8888']) {
  const codes = [ipv4Only, wrapped, both].map((reader) => reader.get(address)?.country_code ?? 'none')
  console.log(address, `IPv4-only: ${codes[0]} (maxmind: ${codes[1]})`, `IPv4 and IPv6: ${codes[2]}`)
}
EOF
cat >finding.py <<'EOF'
import sys, maxminddb
try:
    print(maxminddb.open_database(sys.argv[1]).get('2a00:1450:4001:800::1'))
except ValueError as error:
    print('ValueError:', str(error).split('. ')[-1])
EOF
node_sees=$(node finding.mjs "$data/geolite2-country-ipv4.mmdb" "$data/geolite2-country.mmdb")
python_sees=$(venv/bin/python finding.py "$data/geolite2-country-ipv4.mmdb")
echo "mmdb-lib 3.0.3, maxmind 5.0.7 (and maxminddb 3.2.0 of PyPI for comparison)"
echo "expected: an error, or no record, for IPv6 addresses in an IPv4-only database"
echo "seen:     by mmdb-lib"
sed 's/^/            /' <<<"$node_sees"
echo "          by maxminddb of Python"
sed 's/^/            /' <<<"$python_sees"
if [[ $node_sees == *"IPv4-only: CN (maxmind: CN) IPv4 and IPv6: DE"* &&
  $node_sees == *"IPv4-only: US (maxmind: US) IPv4 and IPv6: JP"* && $python_sees == ValueError:* ]]; then
  echo "as recorded"
else
  echo "CHANGED"
  exit 1
fi
