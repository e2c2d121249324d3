#!/usr/bin/env bash
# A Redis that accepts connections and says nothing is an error without a code.
#
# ioredis 6.0.0 (npm). Its option `socketTimeout` ends a connection on which nothing comes. The error that follows has
# neither a code nor a name of its own, and `close` is told as for a server that closes the connection itself; only the
# text of the message says what it was.
# Why it matters: "the server hangs" and "the server closes the connection" (wrong TLS, a full client list) need different
# actions of an operator, and a program that logs the reason by `error.code` tells the one for the other.
# Instead: where `error.code` is undefined, look for "Socket timeout" in the message, for this version.
#
# Needs: node (20 or newer) with npm.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
npm install --silent --no-audit --no-fund --ignore-scripts --prefix . ioredis@6.0.0

cat >finding.mjs <<'EOF'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { Redis } from 'ioredis'

async function firstError(port) {
  const redis = new Redis({ port, socketTimeout: 300, retryStrategy: null })
  const [error] = await once(redis, 'error')
  redis.disconnect()
  return { name: error.name, code: error.code ?? null }
}

const silent = createServer(() => {}).listen(0, '127.0.0.1')
await once(silent, 'listening')
const seen = { silent: await firstError(silent.address().port), refused: await firstError(1) }
console.log('ioredis 6.0.0')
console.log('expected: a code for each, as ETIMEDOUT and ECONNREFUSED')
console.log('seen:     ', JSON.stringify(seen))
const same = seen.silent.code === null && seen.silent.name === 'Error' && seen.refused.code === 'ECONNREFUSED'
console.log(same ? 'as recorded' : 'CHANGED')
process.exit(same ? 0 : 1)
EOF
node finding.mjs
