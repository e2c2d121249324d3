#!/usr/bin/env bash
# The SDKs of IPinfo call every IPv4 visitor of a dual-stack server a bogon, without asking.
#
# node-ipinfo 4.4.0 and ipinfo-express 2.1.0 (npm), ipinfo 5.6.0 (PyPI). A server that listens on "::", as Node's does by
# default, sees an IPv4 client as ::ffff:a.b.c.d (RFC 4291, section 2.5.5.2), and req.ip of Express is just that. The SDKs
# have ::ffff:0:0/96 in their list of bogons and look at the list first: {"ip": "::ffff:8.8.8.8", "bogon": true}, and no
# request is sent. Their own middleware for Express passes req.ip on as it is. (The Python SDK takes what it is given,
# such as the peer's address of an asyncio server on "::".)
# Why it matters: on a laptop all visitors are bogons anyway, and behind a proxy with X-Forwarded-For none is. Only a
# server that IPv4 clients reach directly loses all of them: no error, no units used, no country.
# Instead: take "::ffff:" off before the SDK, or give ipinfo-express an ipSelector that does.
#
# Needs: node (20 or newer) with npm, python3 (3.10 or newer) with venv.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
npm install --silent --no-audit --no-fund --ignore-scripts --prefix . node-ipinfo@4.4.0 ipinfo-express@2.1.0 express@5.1.0
python3 -m venv python
python/bin/pip install --quiet --disable-pip-version-check ipinfo==5.6.0

cat >finding.mjs <<'EOF'
import { once } from 'node:events'
import express from 'express'
import middleware from 'ipinfo-express'
import { IPinfoWrapper } from 'node-ipinfo'

const app = express()
app.get('/', (request, response) => response.send(request.ip))
const server = app.listen(0)
await once(server, 'listening')
const answer = await fetch(`http://127.0.0.1:${server.address().port}/`)
console.log(`Express, IPv4 client: req.ip is ${await answer.text()}`)
server.close()

const ask = middleware.default ?? middleware
const request = { ip: '::ffff:8.8.8.8', headers: {}, connection: {}, socket: {} }
await ask({ token: 'any' })(request, {}, () => {})
console.log(`ipinfo-express: ${JSON.stringify(request.ipinfo)}`)
// Nothing listens at this base URL, so that an answer can only be the SDK's own.
const sdk = new IPinfoWrapper('any', undefined, undefined, undefined, 'http://127.0.0.1:9')
console.log(`node-ipinfo: ${JSON.stringify(await sdk.lookupIp('::ffff:8.8.8.8'))}`)
EOF
cat >finding.py <<'EOF'
import json, ipinfo
ipinfo.handler.API_URL = 'http://127.0.0.1:9'
print('ipinfo of Python:', json.dumps(ipinfo.getHandler('any').getDetails('::ffff:8.8.8.8').all))
EOF
seen=$(node finding.mjs; python/bin/python finding.py)
echo 'node-ipinfo 4.4.0, ipinfo-express 2.1.0, ipinfo 5.6.0 (PyPI)'
echo 'expected: 8.8.8.8 is asked for'
sed 's/^/seen: /' <<<"$seen"
[ "$seen" = 'Express, IPv4 client: req.ip is ::ffff:127.0.0.1
ipinfo-express: {"bogon":true,"ip":"::ffff:8.8.8.8"}
node-ipinfo: {"bogon":true,"ip":"::ffff:8.8.8.8"}
ipinfo of Python: {"ip": "::ffff:8.8.8.8", "bogon": true}' ] || { echo 'this has changed' >&2; exit 1; }
