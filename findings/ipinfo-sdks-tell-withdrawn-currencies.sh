#!/usr/bin/env bash
# The official SDKs of IPinfo name kuna, litas and eight other currencies that no longer exist.
#
# node-ipinfo 4.4.0 (npm) and ipinfo 5.6.0 (PyPI). Neither countryCurrency nor country_currency comes from the API: the
# SDKs add it from a table of their own, which is the same in both. Eleven countries have a code that ISO 4217 has
# withdrawn, Croatia (euro since 2023) and Lithuania (euro since 2015) among them, while Bulgaria (euro since 2026) is up
# to date. The READMEs show the field beside those of the API.
# Why it matters: a record that a proxy caches or stores and the object that a client works with differ in fields nobody
# asked the API for, and currency libraries do not know the codes.
# Instead: take the country's code from the record, and the currency from CLDR or ISO 4217 data that you update.
#
# Needs: node (20 or newer) with npm, python3 (3.10 or newer) with venv.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
npm install --silent --no-audit --no-fund --ignore-scripts --prefix . node-ipinfo@4.4.0
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check ipinfo==5.6.0 pycountry==26.2.16

cat >finding.mjs <<'EOF'
import { createServer } from 'node:http'
import { IPinfoWrapper } from 'node-ipinfo'

// Answers each address with the country whose two letters are the last two numbers of the address.
const server = createServer((request, response) => {
  const [, , third, fourth] = request.url.split('/')[1].split('.').map(Number)
  response.setHeader('content-type', 'application/json')
  response.end(JSON.stringify({ ip: request.url.split('/')[1], country: String.fromCharCode(third, fourth) }))
})
await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
const ipinfo = new IPinfoWrapper('any', undefined, undefined, undefined, `http://127.0.0.1:${server.address().port}`)
const codes = {}
for (const country of process.argv.slice(2)) {
  const record = await ipinfo.lookupIp(`8.8.${country.charCodeAt(0)}.${country.charCodeAt(1)}`)
  codes[country] = record.countryCurrency?.code
}
server.close()
console.log(JSON.stringify(codes))
EOF
cat >finding.py <<'EOF'
import json, subprocess, sys
import pycountry
from ipinfo.data import countries_currencies

current = {currency.alpha_3 for currency in pycountry.currencies}
withdrawn = {country: entry['code'] for country, entry in sorted(countries_currencies.items())
    if entry['code'] and entry['code'] not in current}
in_node = json.loads(subprocess.check_output(['node', 'finding.mjs', *withdrawn]))
print('seen:     Python', withdrawn)
print('          Node  ', in_node)
same = len(withdrawn) == 11 and withdrawn == in_node and withdrawn.get('HR') == 'HRK'
print('as recorded' if same else 'CHANGED')
sys.exit(0 if same else 1)
EOF
echo "node-ipinfo 4.4.0, ipinfo 5.6.0 (ISO 4217 by pycountry 26.2.16)"
echo "expected: no currency that ISO 4217 has withdrawn"
venv/bin/python finding.py
