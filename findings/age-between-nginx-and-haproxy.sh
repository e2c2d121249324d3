#!/usr/bin/env bash
# "Cache-Control: max-age=60" is good for more than a minute behind nginx and HAProxy: neither counts the age so far.
#
# nginx 1.22.1 and HAProxy 2.6.12 (Debian 12). RFC 9111: the age of a response is part of its freshness (section 4.2.3), a
# cache must send Age with what it answers from memory (5.1), and must not serve what is stale (4.2.4). With an answer that
# comes with Age: 58 and max-age=60, thus fresh for two more seconds:
# - nginx takes it for fresh for 60 seconds, sends the old "Age: 58" all that time, and no Age at all for answers that came
#   without one;
# - HAProxy takes Age off the first answer, the one that it stores, and serves hits past max-age, saying so: Age: 61.
# Why it matters: caches in a row add up their lifetimes instead of sharing one. A record that says "60 seconds" is minutes
# old behind three of them, and a proxy that waits for its purge "plus max-age" has not waited long enough.
# Instead: send an absolute end (Expires alone, or a date in the record), send X-Accel-Expires to nginx with what is left,
# or keep answers that must be fresh uncacheable but for one cache.
#
# Needs: Debian 12 with apt, node (20 or newer). Nothing is installed: the two packages are unpacked.
set -euo pipefail
dir=$(mktemp -d)
pids=()
trap 'for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done; wait; rm -rf "$dir"' EXIT
cd "$dir"
apt-get -qq -o APT::Sandbox::User="$(id -un)" download \
  nginx=1.22.1-9+deb12u11 haproxy=2.6.12-1+deb12u4 liblua5.3-0 libopentracing-c-wrapper0 libopentracing1 >apt.log 2>&1 ||
  { cat apt.log; echo "these versions are no longer served: look for the current ones, and see whether they do the same"; exit 1; }
for package in ./*.deb; do dpkg -x "$package" root; done
LD_LIBRARY_PATH=$(dirname "$(find "$dir/root" -name 'liblua5.3.so.0')")
export LD_LIBRARY_PATH

# A server that answers each request with the Age that its path names; it writes its port and two free ones to a file.
cat >upstream.mjs <<'EOF'
import { createServer } from 'node:http'
import { renameSync, writeFileSync } from 'node:fs'

let answers = 0
const upstream = createServer((request, response) => {
  answers++
  const age = request.url.slice(1)
  response.setHeader('cache-control', 'max-age=60')
  response.setHeader('x-answer', answers)
  if (age !== 'none') response.setHeader('age', age)
  response.end('ok')
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
read -r upstream nginx haproxy <ports

cat >nginx.conf <<EOF
daemon off;
user $(id -un) $(id -gn);
pid $dir/nginx.pid;
events {}
http {
  access_log off;
  client_body_temp_path $dir/body; proxy_temp_path $dir/proxy; fastcgi_temp_path $dir/fastcgi;
  uwsgi_temp_path $dir/uwsgi; scgi_temp_path $dir/scgi;
  proxy_cache_path $dir/cache keys_zone=answers:1m;
  server {
    listen 127.0.0.1:$nginx;
    location / { proxy_cache answers; proxy_pass http://127.0.0.1:$upstream; }
  }
}
EOF
cat >haproxy.cfg <<EOF
defaults
  mode http
  timeout connect 5s
  timeout client 5s
  timeout server 5s
cache answers
  total-max-size 4
  max-age 600
frontend front
  bind 127.0.0.1:$haproxy
  http-request cache-use answers
  http-response cache-store answers
  default_backend back
backend back
  server upstream 127.0.0.1:$upstream
EOF
root/usr/sbin/nginx -e "$dir/nginx.log" -c "$dir/nginx.conf" &
pids+=($!)
root/usr/sbin/haproxy -db -f haproxy.cfg >haproxy.log 2>&1 &
pids+=($!)

cat >finding.mjs <<'EOF'
import { setTimeout as wait } from 'node:timers/promises'

const proxies = { nginx: process.argv[2], haproxy: process.argv[3] }

async function ask(proxy, age) {
  for (let tries = 0; ; tries++) {
    try {
      const { ok, headers } = await fetch(`http://127.0.0.1:${proxies[proxy]}/${age}`)
      if (!ok) throw new Error(`${proxy} answers an error`)
      return { answer: headers.get('x-answer'), age: headers.get('age') }
    } catch (error) {
      if (tries === 50) throw error
      await wait(100)
    }
  }
}

async function askAll() {
  const seen = {}
  for (const proxy of Object.keys(proxies)) for (const age of ['58', 'none']) seen[`${proxy} ${age}`] = await ask(proxy, age)
  return seen
}

const first = await askAll()
await wait(3000) // The answer with Age: 58 is fresh for two seconds.
const later = await askAll()
console.log('expected: Age: 58 with the first answer, upstream asked again after three seconds; Age: 3 where none came')
for (const name of Object.keys(first)) {
  const how = first[name].answer === later[name].answer ? 'reused' : 'asked again'
  console.log(`seen:     ${name.replace(' ', ", upstream's Age ")}: Age ${first[name].age}; after three seconds ${how}, Age ${later[name].age}`)
}
const reused = (name) => first[name].answer === later[name].answer
const same =
  reused('nginx 58') && later['nginx 58'].age === '58' &&
  reused('nginx none') && later['nginx none'].age === null &&
  reused('haproxy 58') && first['haproxy 58'].age === null && Number(later['haproxy 58'].age) > 60
console.log(same ? 'as recorded' : 'CHANGED')
process.exit(same ? 0 : 1)
EOF
root/usr/sbin/nginx -v 2>&1
root/usr/sbin/haproxy -v | sed -n 1p
node finding.mjs "$nginx" "$haproxy"
