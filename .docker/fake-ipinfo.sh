#!/bin/sh
# Runs the fake IPinfo of a demo, and leaves word of it where the replicas look, for as long as it runs. Replicas that
# have started before it, or go on after it, start anew (see service.sh). The volume is a tmpfs: a word that was left
# when this was killed is gone when the demo is.
set -eu

keys=demo-key-1,demo-key-2,demo-key-3
word=/run/demo/env

node packages/testing/src/fake-ipinfo-main.ts --host 0.0.0.0 --port 8080 --keys "$keys" "$@" &
fake=$!
trap 'rm -f $word; kill -TERM $fake' TERM INT

cat >$word.new <<ENV
PROVIDER=ipinfo
IPINFO_KEYS=$keys
IPINFO_BASE_URL=http://fake-ipinfo:8080
IPINFO_API_BASE_URL=http://fake-ipinfo:8080
KEYS_FILE=
UPSTREAM_PROXY_URL=
ENV
mv $word.new $word

# A signal ends the first `wait` before the fake has ended.
wait $fake || wait $fake || true
rm -f $word
