#!/usr/bin/env bash
# The Retry-After of rate-limiter-flexible's README makes urllib3 raise an error where it would have waited.
#
# rate-limiter-flexible 11.4.0 (npm), urllib3 2.8.0 (PyPI; requests and many SDKs retry with it). The README tells to send
# the remaining milliseconds divided by 1000 as Retry-After. The quotient is rarely whole ("0.997"), and Retry-After takes
# whole seconds (RFC 9110, section 10.2.3: delay-seconds = 1*DIGIT). got, axios-retry and undici read it as a number.
# urllib3 raises InvalidHeader in the middle of its retries: neither MaxRetryError nor a response reaches the caller, and
# "except MaxRetryError" does not catch it.
# Why it matters: Python clients fail at the first 429 or 503 of such a server, though they are set to be patient. A proxy
# that passes the header on has the same effect.
# Instead: round up when sending (Math.ceil); a proxy replaces a Retry-After that is neither whole seconds nor a date.
#
# Needs: node (20 or newer) with npm, python3 (3.10 or newer) with venv.
set -euo pipefail
dir=$(mktemp -d)
server=
trap '[ -z "$server" ] || kill "$server" 2>/dev/null || true; rm -rf "$dir"' EXIT
cd "$dir"
npm install --silent --no-audit --no-fund --ignore-scripts --prefix . rate-limiter-flexible@11.4.0 got@14.6.6
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check urllib3==2.8.0

cat >server.mjs <<'EOF'
import { createServer } from 'node:http'
import { writeFileSync, renameSync } from 'node:fs'
import { RateLimiterMemory } from 'rate-limiter-flexible'

const limiter = new RateLimiterMemory({ points: 1, duration: 1 })
const server = createServer(async (request, response) => {
  try {
    await limiter.consume(request.headers['user-agent'])
    response.end('ok')
  } catch (refusal) {
    response.writeHead(429, { 'Retry-After': refusal.msBeforeNext / 1000 }).end()
  }
})
server.listen(0, '127.0.0.1', () => {
  writeFileSync('port.new', String(server.address().port))
  renameSync('port.new', 'port')
})
EOF
node server.mjs &
server=$!
for _ in $(seq 100); do [ -e port ] && break; sleep 0.1; done

cat >client.mjs <<'EOF'
import got from 'got'
const url = `http://127.0.0.1:${process.argv[2]}/`
const headers = { 'user-agent': 'got' }
await got(url, { headers })
const second = await got(url, { headers, retry: { limit: 5 } }).then((answer) => answer.statusCode, (error) => error.message)
console.log(second)
EOF
cat >client.py <<'EOF'
import sys, urllib3
url = f'http://127.0.0.1:{sys.argv[1]}/'
http = urllib3.PoolManager(headers={'User-Agent': 'urllib3'})
http.request('GET', url)
try:
    print(http.request('GET', url, retries=urllib3.Retry(5)).status)
except Exception as error:
    print(f'{type(error).__name__}: {error}')
EOF
node_sees=$(node client.mjs "$(cat port)")
python_sees=$(venv/bin/python client.py "$(cat port)")
echo "rate-limiter-flexible 11.4.0, urllib3 2.8.0 (and got 14.6.6 for comparison)"
echo "expected: both wait for about a second and get 200"
echo "seen:     got $node_sees; urllib3 $python_sees"
if [[ $node_sees == 200 && $python_sees == InvalidHeader:*Retry-After*.* ]]; then
  echo "as recorded"
else
  echo "CHANGED"
  exit 1
fi
