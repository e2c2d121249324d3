#!/bin/sh
# Runs the service of this image with the given arguments.
set -eu

word=/run/demo/env

# As `npm start`, `npm run edge` and `npm run jobs` do.
case $SERVICE in
  lookup | bulk) name=memory ;;
  edge) name=edge ;;
  *) name=none ;;
esac
flags=$(sed -n "s/.*\"${name}_flags\": \"\(.*\)\".*/\1/p" package.json)

serve() {
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
  exec node $flags "services/$SERVICE/src/main.ts" "$@"
}

[ -d /run/demo ] || serve "$@"

# A demo may begin or end later. Then the service starts anew with what holds from then on. The container does not:
# Compose takes a container that starts again for an unhealthy one, and gives up what depends on it.
demo_state() { if [ -e $word ]; then echo on; else echo off; fi; }

# A signal ends a `wait` before the service has ended.
code=0
wait_for_service() {
  wait "$service" && code=0 || code=$?
  while kill -0 "$service" 2>/dev/null; do wait "$service" && code=0 || code=$?; done
}

stopping=
trap 'stopping=1; kill -TERM $service 2>/dev/null || true' TERM INT
while [ -z "$stopping" ]; do
  known=$(demo_state)
  serve "$@" &
  service=$!
  while [ -z "$stopping" ] && kill -0 $service 2>/dev/null && [ "$(demo_state)" = "$known" ]; do
    sleep 2 &
    wait $! || true
  done
  changed=
  if [ "$(demo_state)" != "$known" ]; then changed=1; fi
  if [ -n "$changed" ]; then kill -TERM $service 2>/dev/null || true; fi
  wait_for_service
  # It has ended by itself, or by a signal.
  if [ -z "$changed" ]; then break; fi
done
exit $code
