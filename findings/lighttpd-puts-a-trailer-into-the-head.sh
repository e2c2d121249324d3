#!/usr/bin/env bash
# lighttpd moves a trailer of its backend into the head, and ends it with one CR too many: curl reads that, Node.js refuses it.
#
# lighttpd 1.4.69-1 (Debian 12), mod_proxy. A backend sends a chunked answer with a trailer field (RFC 9112 7.1.2), as
# servers do for checksums, Server-Timing and the like. lighttpd gathers a short answer, gives it a Content-Length, and
# puts the trailer among the header fields, which RFC 9110 6.5.1 allows for fields that say so only. The line ends in
# CR CR LF, which is no end of a line (RFC 9112 2.2). curl takes the field. Node.js refuses the answer
# (HPE_LF_EXPECTED), so does its fetch; Python's http.client reads the body, and loses every field behind the trailer.
# Why it matters: the same answer is whole, an error or without fields, by client, and only when a trailer is sent, so that a
# probe with curl finds nothing.
# Instead: let the backend send no trailers behind lighttpd (most servers ask for "TE: trailers" first), or use another
# proxy: HAProxy, Envoy and nghttpx pass trailers on, nginx, Apache and H2O drop them.
#
# Needs: Debian 12 with apt, curl, python3, node (20 or newer). Nothing is installed: the packages are unpacked.
set -euo pipefail
dir=$(mktemp -d)
pids=()
trap 'for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done; wait; rm -rf "$dir"' EXIT
cd "$dir"
apt-get -qq -o APT::Sandbox::User="$(id -un)" download lighttpd=1.4.69-1 libnettle8 libpcre2-8-0 libxxhash0 >apt.log 2>&1 ||
  { cat apt.log; echo "this version is no longer served: look for the current one, and see whether it does the same"; exit 1; }
for package in ./*.deb; do dpkg -x "$package" root; done
libraries=$(dirname "$(find "$dir/root" -name 'libnettle.so.8')")

cat >backend.mjs <<'EOF'
import { renameSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'

const backend = createServer((_, response) => {
  response.writeHead(200, { trailer: 'x-sum' })
  response.write('hello')
  response.addTrailers({ 'x-sum': '42' })
  response.end()
})
const listen = (server) => new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve(server.address().port)))
const free = createServer()
const ports = [await listen(backend), await listen(free)]
await new Promise((resolve) => free.close(resolve))
writeFileSync('ports.new', `${ports.join(' ')}\n`)
renameSync('ports.new', 'ports')
EOF
node backend.mjs &
pids+=($!)
for _ in $(seq 100); do [ -e ports ] && break; sleep 0.1; done
read -r backend port <ports
cat >lighttpd.conf <<EOF
server.document-root = "$dir"
server.bind = "127.0.0.1"
server.port = $port
server.modules = ("mod_proxy")
proxy.server = ("" => ((
  "host" => "127.0.0.1",
  "port" => $backend
)))
EOF
LD_LIBRARY_PATH=$libraries root/usr/sbin/lighttpd -D -m "$dir/root/usr/lib/lighttpd" -f lighttpd.conf >lighttpd.log 2>&1 &
pids+=($!)

cat >ask.mjs <<'EOF'
import { get } from 'node:http'
import { text } from 'node:stream/consumers'
get(process.argv[2], async (answer) => console.log(answer.statusCode, JSON.stringify(await text(answer))))
  .on('error', (error) => console.log(error.code))
EOF
cat >ask.py <<'EOF'
import sys, urllib.request
answer = urllib.request.urlopen(sys.argv[1])
print(repr(answer.read().decode()), 'fields:', ', '.join(answer.headers))
EOF
at=http://127.0.0.1:$port/
curl -s --retry 50 --retry-connrefused --retry-delay 0 --noproxy '' -o /dev/null "$at"
raw=$(curl -s --noproxy '' -i --raw "$at" | grep -a '^x-sum' | od -An -c | tr -s ' ' | paste -sd' ')
by_curl=$(curl -s --noproxy '' -w ' %{http_code}' "$at")
by_node_direct=$(node ask.mjs "http://127.0.0.1:$backend/")
by_node=$(node ask.mjs "$at")
by_python=$(no_proxy='*' python3 ask.py "$at" 2>&1 | tail -n 1)
LD_LIBRARY_PATH=$libraries root/usr/sbin/lighttpd -v | sed -n 1p
echo 'expected: "hello" for every client, x-sum: 42 as a trailer or not at all'
echo "seen:     in the head:$raw"
echo "seen:     curl: $by_curl"
echo "seen:     Node.js: $by_node (of the backend itself: $by_node_direct)"
echo "seen:     Python: $by_python"
[[ $raw == *'4 2 \r \r \n'* && $by_curl == 'hello 200' && $by_node == HPE_LF_EXPECTED && $by_node_direct == '200 "hello"' &&
  $by_python == "'hello' fields: "*x-sum && $by_python != *Server* ]] || { echo CHANGED; exit 1; }
echo 'as recorded'
