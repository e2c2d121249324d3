#!/usr/bin/env bash
# A page that begins with 103 Early Hints is broken for every client of HTTP/2 behind nginx.
#
# nginx 1.22.1 (Debian 12), Node 20 and 26 as server and client; curl 7.88.1 says the same (PROTOCOL_ERROR, exit 92). RFC 9110
# section 15.2: a proxy must forward an interim answer (1xx), or may leave it out where the client's version has none; the
# final answer follows. nginx takes the 103 that its upstream sends for the final answer and what follows for its body:
# over HTTP/2 the client gets a head with status 103 that ends in data, which RFC 9113 section 8.1 calls malformed, so that
# it resets the stream and has no page. Over HTTP/1.1 the bytes happen to pass as they are, and all looks well. That nginx asks
# in HTTP/1.0 by default does not help: Node's writeEarlyHints sends the 103 all the same, which section 15.2 forbids.
# Why it matters: a server that begins to send hints (Node's writeEarlyHints, Rails on puma) works when it is tried by itself
# and over HTTP/1.1, and fails for browsers in production.
# Instead: send the Link fields in the final answer alone where an nginx of this age is on the way, and let the server look at
# the version of the request before it sends hints.
#
# Needs: Debian 12 with apt, node (20 or newer). Nothing is installed: the package is unpacked.
set -euo pipefail
dir=$(mktemp -d)
pids=()
trap 'for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done; wait; rm -rf "$dir"' EXIT
cd "$dir"
apt-get -qq -o APT::Sandbox::User="$(id -un)" download nginx=1.22.1-9+deb12u11 >apt.log 2>&1 ||
  { cat apt.log; echo "this version is no longer served: look for the current one, and see whether it does the same"; exit 1; }
dpkg -x ./*.deb root

# A server that sends hints, then its page; it writes its port and two free ones to a file.
cat >upstream.mjs <<'EOF'
import { createServer } from 'node:http'
import { renameSync, writeFileSync } from 'node:fs'

const upstream = createServer((request, response) => {
  const answer = () => response.end('page')
  if (request.url === '/hints') response.writeEarlyHints({ link: '</style.css>; rel=preload; as=style' }, answer)
  else answer()
})
const listen = (server) => new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve(server.address().port)))
const free = [createServer(), createServer()]
const ports = [await listen(upstream), ...(await Promise.all(free.map(listen)))]
await Promise.all(free.map((server) => new Promise((resolve) => server.close(resolve))))
writeFileSync('ports.new', `${ports.join(' ')}\n`)
renameSync('ports.new', 'ports')
EOF
node upstream.mjs &
pids+=($!)
for _ in $(seq 100); do [ -e ports ] && break; sleep 0.1; done
read -r upstream asking11 asking10 <ports

cat >nginx.conf <<EOF
daemon off;
user $(id -un) $(id -gn);
pid $dir/nginx.pid;
events {}
http {
  access_log off;
  client_body_temp_path $dir/body; proxy_temp_path $dir/proxy; fastcgi_temp_path $dir/fastcgi;
  uwsgi_temp_path $dir/uwsgi; scgi_temp_path $dir/scgi;
  server {
    listen 127.0.0.1:$asking11 http2;
    location / { proxy_http_version 1.1; proxy_set_header Connection ""; proxy_pass http://127.0.0.1:$upstream; }
  }
  server {
    listen 127.0.0.1:$asking10 http2;
    location / { proxy_pass http://127.0.0.1:$upstream; }
  }
}
EOF
root/usr/sbin/nginx -e "$dir/nginx.log" -c "$dir/nginx.conf" &
pids+=($!)

cat >finding.mjs <<'EOF'
import { connect } from 'node:http2'
import { setTimeout as wait } from 'node:timers/promises'

const [, , asking11, asking10] = process.argv

function ask(port, path) {
  return new Promise((resolve, reject) => {
    const session = connect(`http://127.0.0.1:${port}`)
    session.on('error', reject)
    const stream = session.request({ ':path': path })
    let [status, body] = [0, '']
    const end = (how) => {
      session.destroy()
      resolve(how ?? `${status} ${body}`)
    }
    stream.on('response', (headers) => (status = headers[':status']))
    stream.on('data', (chunk) => (body += chunk))
    stream.on('end', () => status !== 0 && end())
    stream.on('error', (error) => end(error.message))
    stream.on('close', () => end(`no page, code ${stream.rstCode}`))
  })
}

for (let tries = 0; ; tries++) {
  try {
    await ask(asking11, '/')
    break
  } catch (error) {
    if (tries === 50) throw error
    await wait(100)
  }
}
const seen = {
  'without hints': await ask(asking11, '/'),
  'with hints': await ask(asking11, '/hints'),
  'with hints, nginx asking in HTTP/1.0': await ask(asking10, '/hints'),
}
console.log('expected: 200 page, three times')
for (const [name, what] of Object.entries(seen)) console.log(`seen:     ${name}: ${what}`)
const [plain, hinted, asked10] = Object.values(seen)
const same = plain === '200 page' && !hinted.startsWith('200') && !asked10.startsWith('200')
console.log(same ? 'as recorded' : 'CHANGED')
process.exit(same ? 0 : 1)
EOF
root/usr/sbin/nginx -v 2>&1
node finding.mjs "$asking11" "$asking10"
