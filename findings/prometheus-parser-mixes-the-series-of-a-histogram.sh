#!/usr/bin/env bash
# A Prometheus parser for Node reads a histogram with labels as one without, and keeps the numbers of the last series.
#
# parse-prometheus-text-format 1.1.1 with prom-client 15.1.3 (npm). For histograms and summaries the parser throws the
# labels away and lets each series overwrite the one before, bucket by bucket; _sum and _count are lost as well. There is
# no error. Its README says that the output aims to be compatible with prom2json, which has one entry for each set of
# labels. Counters and gauges are right.
# Why it matters: a script that reads p99 from /metrics (a canary check, a load test) sees the latency of whichever route
# is written last, and believes that it is that of all.
# Instead: ask Prometheus, or take the parser of prometheus_client (PyPI) or expfmt (Go).
#
# Needs: node (20 or newer) with npm.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
npm install --silent --no-audit --no-fund --ignore-scripts --prefix . parse-prometheus-text-format@1.1.1 prom-client@15.1.3

cat >finding.mjs <<'EOF'
import parse from 'parse-prometheus-text-format'
import client from 'prom-client'

const registry = new client.Registry()
const duration = new client.Histogram({
  name: 'request_duration_seconds',
  help: 'Time to answer.',
  labelNames: ['route'],
  buckets: [0.1, 1],
  registers: [registry],
})
for (let i = 0; i < 1000; i++) duration.observe({ route: '/lookup' }, 0.9)
duration.observe({ route: '/health' }, 0.01)

const [family] = parse(await registry.metrics())
console.log('parse-prometheus-text-format 1.1.1, prom-client 15.1.3')
console.log('expected: an entry for /lookup with 1000 observations, and one for /health with 1')
console.log('seen:    ', JSON.stringify(family.metrics))
const same = family.metrics.length === 1 && family.metrics[0].labels === undefined && family.metrics[0].buckets['+Inf'] === '1'
console.log(same ? 'as recorded' : 'CHANGED')
process.exit(same ? 0 : 1)
EOF
node finding.mjs
