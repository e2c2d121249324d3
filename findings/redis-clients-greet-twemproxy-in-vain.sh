#!/usr/bin/env bash
# Redis clients of today get no command through twemproxy: it ends the connection at their greeting, and they do not say so.
#
# nutcracker 0.5.0+dfsg-2 (twemproxy, Debian 12), with ioredis 6.0.0 and redis 6.3.0 (npm), redis-py 8.1.0 (PyPI). twemproxy
# passes commands on to several Redis, and ends a connection, without an error, at the first command that it does not know.
# HELLO is one, CLIENT and INFO are others. All three clients send the first two before anything else, to speak RESP3
# and to tell their name, and ioredis asks INFO as well. What they report is a lost connection; ioredis gives up after its
# retries. RESP2 alone does not help, since CLIENT SETINFO is still sent.
# Why it matters: an update of the client, with nothing else changed, ends all use of the cache, with an error that reads
# like one of the network.
# Instead: RESP2 and no greeting (ioredis: protocol: 2, disableClientInfo: true, enableReadyCheck: false; redis-py:
# protocol=2, driver_info=None; redis: RESP: 2, disableClientInfo: true), or a client that knows a Redis Cluster.
#
# Needs: Debian 12 with apt, redis-server with redis-cli, python3 (3.10 or newer) with venv, node (20 or newer) with npm.
# The package of Debian is unpacked, not installed.
set -euo pipefail
dir=$(mktemp -d)
pids=()
trap 'for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done; wait; rm -rf "$dir"' EXIT
cd "$dir"
apt-get -qq -o APT::Sandbox::User="$(id -un)" download nutcracker=0.5.0+dfsg-2 libyaml-0-2 >apt.log 2>&1 ||
  { cat apt.log; echo "this version is no longer served: look for the current one, and see whether it does the same"; exit 1; }
for package in ./*.deb; do dpkg -x "$package" root; done
python3 -m venv python
python/bin/pip install --quiet --disable-pip-version-check redis==8.1.0
npm install --silent --no-audit --no-fund --ignore-scripts --prefix . ioredis@6.0.0 redis@6.3.0

redis-server --port 0 --unixsocket "$dir/redis" --save '' >redis.log &
pids+=($!)
cat >ports.mjs <<'EOF'
import { createServer } from 'node:net'
const servers = [createServer(), createServer()]
await Promise.all(servers.map((server) => new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))))
console.log(...servers.map((server) => server.address().port))
process.exit()
EOF
read -r port stats < <(node ports.mjs)
cat >twemproxy.yml <<EOF
all:
  listen: 127.0.0.1:$port
  redis: true
  hash: fnv1a_64
  distribution: ketama
  servers:
    - $dir/redis:1 one
EOF
for _ in $(seq 100); do [ -S redis ] && break; sleep 0.1; done
LD_LIBRARY_PATH=$(dirname "$(find "$dir/root" -name 'libyaml-0.so.2')") \
  root/usr/sbin/nutcracker -c twemproxy.yml -s "$stats" -o twemproxy.log >out 2>&1 &
pids+=($!)
# redis-cli greets nobody: it shows when all three are there.
for _ in $(seq 100); do [ "$(redis-cli -p "$port" set k v 2>&1)" = OK ] && break; sleep 0.1; done
[ "$(redis-cli -p "$port" set k v 2>&1)" = OK ] || { cat twemproxy.log; echo 'twemproxy has not started'; exit 2; }

cat >finding.mjs <<'EOF'
import { Redis } from 'ioredis'
import { createClient } from 'redis'

const port = Number(process.argv[2])
const told = (error) => `error: ${error.message.split('.')[0]}`
async function byIoredis(options) {
  const client = new Redis({ host: '127.0.0.1', port, maxRetriesPerRequest: 3, ...options }).on('error', () => {})
  const answer = await client.set('k', 'v').catch(told)
  client.disconnect()
  return answer
}
async function byNodeRedis(options) {
  const client = createClient({ socket: { host: '127.0.0.1', port, reconnectStrategy: false }, ...options }).on('error', () => {})
  try {
    await client.connect()
    return await client.set('k', 'v')
  } catch (error) {
    return told(error)
  } finally {
    client.destroy()
  }
}
console.log('ioredis:', await byIoredis({}))
console.log('ioredis, RESP2:', await byIoredis({ protocol: 2 }))
console.log('ioredis, RESP2, no greeting:', await byIoredis({ protocol: 2, disableClientInfo: true, enableReadyCheck: false }))
console.log('redis:', await byNodeRedis({}))
console.log('redis, RESP2, no greeting:', await byNodeRedis({ RESP: 2, disableClientInfo: true }))
process.exit()
EOF
cat >finding.py <<'EOF'
import sys, redis
def asked(**options):
    try: return 'OK' if redis.Redis(host='127.0.0.1', port=int(sys.argv[1]), retry=None, **options).set('k', 'v') else 'nothing'
    except redis.RedisError as error: return f'error: {type(error).__name__}'
print('redis-py:', asked())
print('redis-py, RESP2:', asked(protocol=2))
print('redis-py, RESP2, no greeting:', asked(protocol=2, driver_info=None))
EOF
seen=$(node finding.mjs "$port" 2>&1; python/bin/python finding.py "$port" 2>&1)
echo 'nutcracker 0.5.0, ioredis 6.0.0, redis 6.3.0 (npm), redis-py 8.1.0'
echo 'expected: OK, or an error that names the command'
sed 's/^/seen:     /' <<<"$seen"
for line in 'ioredis: error: .*max retries.*' 'ioredis, RESP2: error: .*' 'ioredis, RESP2, no greeting: OK' 'redis: error: .*' \
  'redis, RESP2, no greeting: OK' 'redis-py: error: ConnectionError' 'redis-py, RESP2: error: ConnectionError' \
  'redis-py, RESP2, no greeting: OK'; do
  grep -q "^$line\$" <<<"$seen" || { echo "CHANGED: no line '$line'"; exit 1; }
done
grep -q "unsupported command 'hello'" twemproxy.log && echo "twemproxy's log: parsed unsupported command 'hello'"
echo 'as recorded'
