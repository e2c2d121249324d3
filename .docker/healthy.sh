#!/bin/bash
# Whether the service of this image answers. bash opens the connection itself: a Node for each check would cost more
# than the service.
set -u
trap '' PIPE

expected=200
case $SERVICE in
  lookup) port=${PORT:-8080} path=/readyz ;;
  bulk) port=${PORT:-8082} path=/readyz ;;
  egress) port=7778 path=/readyz ;; # METRICS_ADDR
  # Through the edge to any replica: its own probe also fails when only bulk is away.
  edge) port=8080 path=/livez ;;
  fake-ipinfo) port=8080 path=/_fake/ expected=404 ;;
esac

exec 3<>"/dev/tcp/127.0.0.1/$port" || exit 1
printf 'GET %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n' "$path" >&3
read -r -t 3 _ status _ <&3
[ "${status:-}" = "$expected" ] && exit

# An edge with [tls] in its configuration hangs up on that.
[ "$SERVICE" = edge ] && exec node --eval "
  require('node:https')
    .get({ port: $port, path: '$path', rejectUnauthorized: false }, (answer) => process.exit(answer.statusCode === $expected ? 0 : 1))
    .on('error', () => process.exit(1))"
exit 1
