#!/bin/sh
# Runs the service of this image with the given arguments.
set -eu

word=/run/demo/env

# In a demo (see fake-ipinfo.sh) the fake's keys stand in for those that there may be.
if [ -e $word ]; then
  set -a
  . $word
  set +a
else
  # A file NAME in /run/secrets is the setting NAME_FILE: IPINFO_KEYS, KEYS, ADMIN_TOKEN, USERS. None has to be there.
  for file in /run/secrets/*; do
    name=${file##*/}
    case $name in
      *[!A-Z_]*) ;;
      *) export "${name}_FILE=$file" ;;
    esac
  done
fi

# A demo may begin or end later. Then the service ends, and Docker starts it again with what holds from then on.
demo_state() { if [ -e $word ]; then echo on; else echo off; fi; }
follow_demo() {
  known=$(demo_state)
  while kill -0 $$ 2>/dev/null && [ "$(demo_state)" = "$known" ]; do sleep 2; done
  kill -TERM $$
}
if [ -d /run/demo ]; then follow_demo & fi

# The flags of `npm start`, `npm run edge` and `npm run jobs`: they keep memory small.
case $SERVICE in
  lookup | edge | bulk) flags='--max-semi-space-size=4 --initial-old-space-size=24 --heap-growing-percent=15' ;;
  *) flags= ;;
esac
exec node $flags "services/$SERVICE/src/main.ts" "$@"
