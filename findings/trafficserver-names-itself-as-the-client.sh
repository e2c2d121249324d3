#!/usr/bin/env bash
# Traffic Server sends the PROXY header with source and destination exchanged: behind it, every client is Traffic Server.
#
# trafficserver 9.2.5+ds-0+deb12u4 (Debian 12; it says 9.2.9), with proxy.config.http.proxy_protocol_out 1 and 2. The PROXY
# protocol (haproxy.org, proxy-protocol.txt, 2.1 and 2.2) names the source first, which is the client, and then the
# destination. A client at 127.0.0.5 asks Traffic Server at 127.0.0.1; in both versions of the header the source is
# 127.0.0.1 with the port that Traffic Server listens at, and the destination is 127.0.0.5 with the client's port. Its
# X-Forwarded-For in the same request is right. It is known (apache/trafficserver#9335) and mended in 10, not in 9.2.
# Why it matters: the header is well formed, so nothing fails. Limits, bans and logs of the server behind see one client,
# with an address that they often trust.
# Instead: leave proxy_protocol_out off and trust X-Forwarded-For of these proxies, or use version 10.
#
# Needs: Debian 12 with apt, curl, node (20 or newer). Nothing is installed: the packages are unpacked.
set -euo pipefail
dir=$(mktemp -d)
pids=()
trap 'for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done; wait; rm -rf "$dir"' EXIT
cd "$dir"
apt-get -qq -o APT::Sandbox::User="$(id -un)" download \
  trafficserver=9.2.5+ds-0+deb12u4 libhwloc15 libyaml-cpp0.7 libpcre3 >apt.log 2>&1 ||
  { cat apt.log; echo "this version is no longer served: look for the current one, and see whether it does the same"; exit 1; }
for package in ./*.deb; do dpkg -x "$package" root; done
chmod 755 .
LD_LIBRARY_PATH=$(find "$dir/root" \( -name 'lib*.so.*' -o -name 'libtscore.so*' \) -printf '%h\n' | sort -u | paste -sd:)

# A server that tells the ends of each connection as its PROXY header has them; it writes its port and two free ones to a file.
cat >server.mjs <<'EOF'
import { renameSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'

const signature = '\r\n\r\n\0\r\nQUIT\n'
function ends(bytes) {
  const text = bytes.toString('latin1')
  const at = text.indexOf(signature) // Version 2, TCP over IPv4: 4 bytes, 4 bytes, 2 bytes, 2 bytes.
  if (at < 0) return /^PROXY TCP4 (\S+) (\S+) (\d+) (\d+)\r\n/.exec(text)?.slice(1)
  const fields = bytes.subarray(at + 16)
  return [[...fields.subarray(0, 4)].join('.'), [...fields.subarray(4, 8)].join('.'), fields.readUInt16BE(8), fields.readUInt16BE(10)]
}
const server = createServer((socket) => {
  let seen = Buffer.alloc(0)
  socket.on('error', () => {})
  socket.on('data', (bytes) => {
    seen = Buffer.concat([seen, bytes])
    const forwarded = /x-forwarded-for: *(\S+)[^]*\r\n\r\n/i.exec(seen.toString('latin1'))?.[1]
    if (forwarded === undefined) return
    const [source, destination, , port] = ends(seen) ?? []
    const body = `source ${source}, destination ${destination} port ${port}; X-Forwarded-For ${forwarded}\n`
    socket.end(`HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\nConnection: close\r\n\r\n${body}`)
  })
})
const listen = (one) => new Promise((resolve) => one.listen(0, '127.0.0.1', () => resolve(one.address().port)))
const free = [createServer(), createServer()]
const ports = [await listen(server), ...(await Promise.all(free.map(listen)))]
await Promise.all(free.map((one) => new Promise((resolve) => one.close(resolve))))
writeFileSync('ports.new', `${ports.join(' ')}\n`)
renameSync('ports.new', 'ports')
EOF
node server.mjs &
pids+=($!)
for _ in $(seq 100); do [ -e ports ] && break; sleep 0.1; done
read -r server one two <ports

begin() { # VERSION PORT
  local at=$dir/v$1
  mkdir -p "$at"/{etc,run,log,cache}
  cp -r root/etc/trafficserver/. "$at/etc"
  cat >"$at/etc/records.config" <<EOF
CONFIG proxy.config.http.server_ports STRING $2:ip-in=127.0.0.1
CONFIG proxy.config.http.proxy_protocol_out INT $1
CONFIG proxy.config.http.cache.http INT 0
CONFIG proxy.config.http.insert_squid_x_forwarded_for INT 1
CONFIG proxy.config.admin.user_id STRING #-1
CONFIG proxy.config.body_factory.template_sets_dir STRING $dir/root/etc/trafficserver/body_factory
EOF
  echo "map / http://127.0.0.1:$server/" >"$at/etc/remap.config"
  : >"$at/etc/storage.config"
  : >"$at/etc/plugin.config"
  cat >"$at/runroot.yaml" <<EOF
prefix: $at
exec_prefix: $at
bindir: $dir/root/usr/bin
sbindir: $dir/root/usr/sbin
sysconfdir: $at/etc
datadir: $at/cache
libexecdir: $dir/root/usr/lib/trafficserver/modules
libdir: $dir/root/usr/lib
runtimedir: $at/run
logdir: $at/log
cachedir: $at/cache
localstatedir: $at/run
EOF
  TS_RUNROOT=$at LD_LIBRARY_PATH=$LD_LIBRARY_PATH root/usr/bin/traffic_server >"$at/out" 2>&1 &
  pids+=($!)
}
begin 1 "$one"
begin 2 "$two"

asked() { # PORT
  local answer
  for _ in $(seq 100); do
    answer=$(curl -sf --noproxy '' --interface 127.0.0.5 -w 'client port %{local_port}\n' "http://127.0.0.1:$1/" || true)
    [ -z "${answer##*source*}" ] && [ -n "$answer" ] && break
    sleep 0.1
  done
  echo "$answer" | paste -sd' '
}
first=$(asked "$one")
second=$(asked "$two")
LD_LIBRARY_PATH=$LD_LIBRARY_PATH root/usr/bin/traffic_server -V 2>&1 | grep -o 'Traffic Server [0-9.]*' | sed -n 1p
echo 'expected: source 127.0.0.5, destination 127.0.0.1'
echo "seen:     version 1: $first"
echo "seen:     version 2: $second"
exchanged='source 127.0.0.1, destination 127.0.0.5 port ([0-9]+); X-Forwarded-For 127.0.0.5 client port ([0-9]+)'
for answer in "$first" "$second"; do
  [[ $answer =~ ^$exchanged$ && ${BASH_REMATCH[1]} == "${BASH_REMATCH[2]}" ]] || { echo CHANGED; exit 1; }
done
echo 'as recorded'
