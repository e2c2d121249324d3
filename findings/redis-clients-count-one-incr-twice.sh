#!/usr/bin/env bash
# One INCR counts two when Redis pauses for longer than the client's timeout: redis-py and go-redis send it again, by default.
#
# redis-py 8.1.0 (PyPI) and go-redis 9.23.0 (Go) against ioredis 6.0.0 and redis 6.3.0 (npm), all with a read timeout of
# 500 ms, and a Redis that stands still for 800 ms (SIGSTOP here; elsewhere a slow command, a fork or a busy disk) and then
# works off what it has received. A timeout does not tell whether a command was run. redis-py sends every command again up
# to ten times, and go-redis up to three times, whatever the command is: the call returns 2, without an error. The two
# clients for Node tell of the timeout, and leave the rest to the caller.
# Why it matters: rate limiters, quotas and sequence numbers are INCR (and LPUSH, ZINCRBY …). After a pause clients have
# used more than they asked for, just when the server was too busy, and a fleet with two languages counts in two ways.
# Instead: Retry(NoBackoff(), 0) in redis-py and MaxRetries: -1 in go-redis for connections that count, or a script that
# remembers an id of each request.
#
# Needs: redis-server, python3 (3.10 or newer) with venv, go (1.24 or newer), node (20 or newer) with npm.
set -euo pipefail
dir=$(mktemp -d)
trap 'kill -9 $server 2>/dev/null || true; chmod -R u+w "$dir"; rm -rf "$dir"' EXIT
cd "$dir"
export GOMODCACHE="$dir/modules" GOFLAGS=-modcacherw
socket=$dir/redis
redis-server --port 0 --unixsocket "$socket" --save '' >/dev/null &
server=$!
disown
python3 -m venv python
python/bin/pip install --quiet --disable-pip-version-check redis==8.1.0
npm install --silent --no-audit --no-fund --ignore-scripts --prefix . ioredis@6.0.0 redis@6.3.0
go mod init finding >/dev/null 2>&1
go get github.com/redis/go-redis/v9@v9.23.0 >/dev/null 2>&1

# Each connects, says "ready", and sends INCR when it reads a line.
cat >finding.py <<'EOF'
import sys, redis
client = redis.Redis(unix_socket_path=sys.argv[1], socket_timeout=0.5)
client.ping()
print('ready', flush=True)
input()
try: print('INCR returned', client.incr('count'))
except redis.RedisError as error: print('error:', error)
EOF
cat >finding.mjs <<'EOF'
import { once } from 'node:events'
import { Redis } from 'ioredis'
import { createClient } from 'redis'
const [path, name] = process.argv.slice(2)
const open = {
  ioredis: async () => new Redis({ path, commandTimeout: 500 }),
  redis: () => createClient({ socket: { path, socketTimeout: 500 } }).on('error', () => {}).connect(),
}
const client = await open[name]()
await client.ping()
console.log('ready')
await once(process.stdin, 'data')
console.log(await client.incr('count').then((count) => `INCR returned ${count}`, (error) => `error: ${error.message}`))
process.exit()
EOF
cat >main.go <<'EOF'
package main
import ("bufio"; "context"; "fmt"; "os"; "time"; "github.com/redis/go-redis/v9")
func main() {
  client := redis.NewClient(&redis.Options{Network: "unix", Addr: os.Args[1], ReadTimeout: 500 * time.Millisecond})
  client.Ping(context.Background())
  fmt.Println("ready")
  bufio.NewReader(os.Stdin).ReadString('\n')
  if count, err := client.Incr(context.Background(), "count").Result(); err == nil { fmt.Println("INCR returned", count)
  } else { fmt.Println("error:", err) }
}
EOF
go mod tidy >/dev/null 2>&1
go build -o go-client .

mkfifo go
counted() { # NAME COMMAND…: what the client says, and what Redis has counted
  local name=$1
  shift
  redis-cli -s "$socket" del count >/dev/null
  "$@" <go >said &
  local client=$!
  exec 9>go
  until grep -q ready said; do sleep 0.1; done
  kill -STOP $server
  echo >&9
  sleep 0.8
  kill -CONT $server
  wait $client
  exec 9>&-
  sleep 1
  echo "$name: $(tail -n 1 said); counted $(redis-cli -s "$socket" get count)"
}
seen=$(
  counted redis-py python/bin/python finding.py "$socket"
  counted go-redis ./go-client "$socket"
  counted ioredis node finding.mjs "$socket" ioredis
  counted node-redis node finding.mjs "$socket" redis
)
echo 'redis-py 8.1.0, go-redis 9.23.0, ioredis 6.0.0, redis 6.3.0 (npm)'
echo 'expected: one INCR counts one'
sed 's/^/seen: /' <<<"$seen"
for line in 'redis-py: INCR returned 2; counted 2' 'go-redis: INCR returned 2; counted 2' \
  'ioredis: error: Command timed out; counted 1' 'node-redis: error: Socket timeout timeout.*; counted 1'; do
  grep -q "^$line\$" <<<"$seen" || { echo 'this has changed' >&2; exit 1; }
done
