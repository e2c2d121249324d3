#!/usr/bin/env bash
# ApacheBench asks no proxy for a tunnel: with -X and an https: URL it begins TLS with the proxy, and counts that as complete.
#
# ab 2.3 (apache2-utils 2.4.71, Debian 12). For http: URLs it sends the proxy what a proxy expects. For https: URLs curl sends
# CONNECT; ab sends its TLS ClientHello, with the name of the wanted host, to the proxy itself. The proxy answers 400 in
# cleartext, so no byte of HTTP has been exchanged; ab reports "Complete requests: 5", "Total transferred: 0 bytes", requests
# a second all the same, and ends with 0. The manual says of -X only "Use a proxy server for the requests".
# Why it matters: the quickest proxy of a comparison is the one that refuses quickest.
# Instead: look at "Total transferred", or measure tunnels by a client that sends CONNECT (curl --parallel).
#
# Needs: Debian 12 with apt, curl, node (20 or newer). Nothing is installed: the packages are unpacked.
set -euo pipefail
dir=$(mktemp -d)
proxy=
trap '[ -z "$proxy" ] || kill "$proxy" 2>/dev/null || true; wait; rm -rf "$dir"' EXIT
cd "$dir"
apt-get -qq -o APT::Sandbox::User="$(id -un)" download \
  apache2-utils=2.4.71-1~deb12u1 libapr1 libaprutil1 libexpat1 >apt.log 2>&1 ||
  { cat apt.log; echo "this version is no longer served: look for the current one, and see whether it does the same"; exit 1; }
for package in ./*.deb; do dpkg -x "$package" root; done
LD_LIBRARY_PATH=$(dirname "$(find "$dir/root" -name 'libapr-1.so.0')")
export LD_LIBRARY_PATH

# A proxy that writes down how each connection begins, and refuses it.
cat >proxy.mjs <<'EOF'
import { appendFileSync, renameSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'

const beginning = (bytes) => (bytes[0] === 22 && bytes[1] === 3 ? 'a TLS handshake' : bytes.toString('latin1').split('\r\n')[0])
const proxy = createServer((socket) => {
  socket.on('error', () => {})
  socket.once('data', (bytes) => {
    appendFileSync('seen', `${beginning(bytes)}\n`)
    socket.end('HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n')
  })
})
proxy.listen(0, '127.0.0.1', () => {
  writeFileSync('port.new', `${proxy.address().port}\n`)
  renameSync('port.new', 'port')
})
EOF
node proxy.mjs &
proxy=$!
for _ in $(seq 100); do [ -e port ] && break; sleep 0.1; done
at=127.0.0.1:$(cat port)

seen() { sort seen | uniq -c | awk '{ $1 = $1; print }' | paste -sd, && rm seen; }
env -u LD_LIBRARY_PATH curl -s -o curl.out --noproxy '' -x "http://$at" https://example.com/ || true
by_curl=$(seen)
root/usr/bin/ab -n 5 -X "$at" http://example.com/ >http.out 2>&1
by_ab_http=$(seen)
ended=0
root/usr/bin/ab -n 5 -X "$at" https://example.com/ >https.out 2>&1 || ended=$?
by_ab=$(seen)
report=$(grep -E '^(Complete requests|Total transferred):' https.out | tr -s ' ' | paste -sd,)

echo 'ab of apache2-utils 2.4.71-1~deb12u1'
echo 'expected: the proxy sees CONNECT example.com:443 for https:'
echo "seen:     curl: $by_curl"
echo "seen:     ab, http: $by_ab_http"
echo "seen:     ab, https: $by_ab; it reports: $report; exit status $ended"
if [ "$by_curl" = '1 CONNECT example.com:443 HTTP/1.1' ] && [ "$by_ab_http" = '5 GET http://example.com/ HTTP/1.0' ] &&
  [ "$by_ab" = '5 a TLS handshake' ] && [ "$report" = 'Complete requests: 5,Total transferred: 0 bytes' ] && [ "$ended" = 0 ]; then
  echo 'as recorded'
else
  echo 'CHANGED'
  exit 1
fi
