#!/usr/bin/env bash
# "All sentinels are unreachable", says ioredis of a Sentinel that it reached and that answered.
#
# ioredis 6.0.0 (npm) with a Sentinel of Redis 7.0.15 (Debian 12). A master's name that the Sentinel does not know, and
# the role "slave" where the master has no replica, are told as "All sentinels are unreachable". The reason stands behind
# it only at times: "ERR No such master with that name" where that Sentinel is the last of the list; "Connection is
# closed." where one that is down comes after it; nothing at all with `updateSentinels: false`, or for want of a replica.
# The error has neither a code nor a cause, and is the same one that a refused connection gets.
# Why it matters: one looks at the network and the firewall for a typing error in a name. The order of the list decides
# whether the log has a hint, and ioredis changes that order as it learns of other Sentinels.
# Instead: log the event `sentinelError` of the client; it tells what became of each Sentinel. The README lacks it.
#
# Needs: Debian 12 with apt, node (20 or newer) with npm. Redis is not installed: its packages are unpacked.
set -euo pipefail
dir=$(mktemp -d)
pids=()
trap 'for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done; wait; rm -rf "$dir"' EXIT
cd "$dir"
npm install --silent --no-audit --no-fund --ignore-scripts --prefix . ioredis@6.0.0
apt-get -qq -o APT::Sandbox::User="$(id -un)" download \
  redis-server=5:7.0.15-1~deb12u10 redis-tools=5:7.0.15-1~deb12u10 libatomic1 libjemalloc2 liblzf1 >apt.log 2>&1 ||
  { cat apt.log; echo "this version is no longer served: look for the current one, and see whether it does the same"; exit 1; }
for package in ./*.deb; do dpkg -x "$package" root; done
LD_LIBRARY_PATH=$(dirname "$(find "$dir/root" -name 'libjemalloc.so.2')")
export LD_LIBRARY_PATH

free_ports='const servers = [0, 1].map(() => require("net").createServer().listen(0, "127.0.0.1"))
setTimeout(() => { console.log(...servers.map((s) => s.address().port)); servers.forEach((s) => s.close()) }, 100)'
read -r master sentinel < <(node -e "$free_ports")
root/usr/bin/redis-server --bind 127.0.0.1 --port "$master" --save '' --dir "$dir" >master.log &
pids+=($!)
cat >sentinel.conf <<EOF
bind 127.0.0.1
port $sentinel
dir $dir
sentinel monitor orders 127.0.0.1 $master 1
EOF
root/usr/bin/redis-server sentinel.conf --sentinel >sentinel.log &
pids+=($!)

cat >finding.mjs <<'EOF'
import { setTimeout as wait } from 'node:timers/promises'
import { Redis } from 'ioredis'

const up = { host: '127.0.0.1', port: Number(process.argv[2]) }
const down = { host: '127.0.0.1', port: 1 }

async function ask(options) {
  const redis = new Redis({ sentinels: [up], name: 'orders', sentinelRetryStrategy: null, retryStrategy: null, ...options })
  const seen = { said: [] }
  redis.on('sentinelError', (error) => seen.said.push(error.message.replaceAll(/127\.0\.0\.1:\d+/g, 'HOST')))
  redis.on('error', (error) => Object.assign(seen, { error: error.message, code: error.code ?? error.cause ?? 'none' }))
  await redis.ping().catch(() => {})
  redis.disconnect()
  return seen
}

// The right name has to work, so that what follows is the Sentinel's answer.
for (let tries = 0; (await ask({})).error; tries++) {
  if (tries === 50) throw new Error('the Sentinel does not start')
  await wait(100)
}
const cases = {
  'unknown name': { name: 'order' },
  'unknown name, then one that is down': { name: 'order', sentinels: [up, down] },
  'unknown name, updateSentinels: false': { name: 'order', updateSentinels: false },
  'no replica': { role: 'slave' },
  'down': { sentinels: [down] },
}
console.log('ioredis 6.0.0, Sentinel of Redis 7.0.15')
console.log('expected: "unreachable" of the one that is down alone')
const reasons = []
let same = true
for (const [name, options] of Object.entries(cases)) {
  const { error, code, said } = await ask(options)
  console.log(`seen:     ${name}: ${error} (code: ${code})`)
  console.log(`          sentinelError: ${said.join(', and ')}`)
  same &&= error.startsWith('All sentinels are unreachable') && code === 'none' && said.length > 0
  reasons.push(error.split('Last error: ')[1] ?? 'none')
}
const unknown = 'ERR No such master with that name'
same &&= reasons.join('|') === [unknown, 'Connection is closed.', 'none', 'none', 'Connection is closed.'].join('|')
console.log(same ? 'as recorded' : 'CHANGED')
process.exit(same ? 0 : 1)
EOF
node finding.mjs "$sentinel"
