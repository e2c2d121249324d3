#!/bin/sh
# Runs the fake IPinfo of a demo, and first leaves word of it where the replicas look when they start. Compose starts
# this together with Redis, and the replicas only when Redis has proved healthy, which is seconds later. The volume is
# a tmpfs: the word is gone when the demo is.
set -eu

keys=demo-key-1,demo-key-2,demo-key-3

cat >/run/demo/env.new <<ENV
PROVIDER=ipinfo
IPINFO_KEYS=$keys
IPINFO_BASE_URL=http://fake-ipinfo:8080
IPINFO_API_BASE_URL=http://fake-ipinfo:8080/api.ipinfo.io
KEYS_FILE=
UPSTREAM_PROXY_URL=
ENV
mv /run/demo/env.new /run/demo/env

exec node packages/testing/src/fake-ipinfo-main.ts --host 0.0.0.0 --port 8080 --keys "$keys" "$@"
