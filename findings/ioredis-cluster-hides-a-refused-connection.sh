#!/usr/bin/env bash
# A cluster whose port nobody listens on and one that hangs up on each client are the same error to ioredis.
#
# ioredis 6.0.0 (npm). `new Redis()` tells a refused connection as an error with the code ECONNREFUSED. `new Cluster()`
# asks its start nodes over connections of its own, drops what their sockets report, and passes on what became of its
# CLUSTER SLOTS: "Connection is closed.", without code, port or cause. The event `node error`, which the README has for
# errors while connecting to a node, and `lastNodeError` of the event `error` both have that text, for a connection
# refused and for one accepted and closed. The command itself fails with a third text, "None of startup nodes is
# available".
# Why it matters: a wrong port or a server that is down must be told from a proxy that hangs up. An alert or a retry by
# `error.code` that was tested with one server does nothing once the same program uses a cluster.
# Instead: where `lastNodeError` has no code, connect to one start node with `new Redis()` and log what that one says.
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
import { Cluster, Redis } from 'ioredis'

const tell = (error) => `${error.message} (code: ${error.code ?? 'none'})`

async function ofOneServer(port) {
  const redis = new Redis({ host: '127.0.0.1', port, retryStrategy: null })
  const seen = { error: 'none' }
  redis.on('error', (error) => (seen.error = tell(error)))
  await redis.get('key').catch((error) => (seen.command = tell(error)))
  redis.disconnect()
  return seen
}

async function ofCluster(port) {
  const cluster = new Cluster([{ host: '127.0.0.1', port }], { clusterRetryStrategy: null })
  const seen = {}
  cluster.on('node error', (error) => (seen.nodeError = tell(error)))
  cluster.on('error', (error) => (seen.lastNodeError = tell(error.lastNodeError)))
  await cluster.get('key').catch((error) => (seen.command = tell(error)))
  cluster.disconnect()
  return seen
}

const closing = createServer((socket) => socket.end()).listen(0, '127.0.0.1')
await once(closing, 'listening')
const ports = { refused: 1, closing: closing.address().port }
console.log('ioredis 6.0.0')
console.log('expected: ECONNREFUSED for the refused one, with a cluster as with one server')
const seen = {}
for (const [name, port] of Object.entries(ports)) {
  seen[name] = { one: await ofOneServer(port), cluster: await ofCluster(port) }
  console.log(`seen:     ${name}, one server:`, JSON.stringify(seen[name].one))
  console.log(`          ${name}, cluster:   `, JSON.stringify(seen[name].cluster))
}
closing.close()
const { refused, closing: closed } = seen
const same = refused.one.error.endsWith('(code: ECONNREFUSED)') && closed.one.error === 'none' &&
  refused.cluster.lastNodeError === 'Connection is closed. (code: none)' &&
  refused.cluster.nodeError === refused.cluster.lastNodeError &&
  JSON.stringify(refused.cluster) === JSON.stringify(closed.cluster)
console.log(same ? 'as recorded' : 'CHANGED')
process.exit(same ? 0 : 1)
EOF
node finding.mjs
