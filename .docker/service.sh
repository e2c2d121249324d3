#!/bin/sh
# Runs the service of this image with the given arguments.
set -eu

# In a demo (see fake-ipinfo.sh) the fake's keys stand in for those that there may be.
if [ -e /run/demo/env ]; then
  set -a
  . /run/demo/env
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

# The flags of `npm start`, `npm run edge` and `npm run jobs`: they keep memory small.
case $SERVICE in
  lookup | edge | bulk) flags='--max-semi-space-size=4 --initial-old-space-size=24 --heap-growing-percent=15' ;;
  *) flags= ;;
esac
exec node $flags "services/$SERVICE/src/main.ts" "$@"
