#!/usr/bin/env bash
# Puts to the test what start_all.sh has started, with curl: turns, limit, headers, metrics.
#
#   bash scripts/test_proxy.sh [URL]          default: http://localhost:8080
#
# Sends fifteen requests, of which the limit lets ten pass: once a minute.
set -euo pipefail

url=${1:-http://localhost:8080}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
failed=0

# check WHAT COMMAND…: says whether it succeeds.
check() {
  if "${@:2}"; then
    echo "ok    $1"
  else
    echo "FAIL  $1"
    failed=1
  fi
}

# Head and body of the request with this number.
head_of() { echo "$folder/head-$1"; }
body_of() { echo "$folder/body-$1"; }

statuses=()
backends=()
for turn in {1..15}; do
  statuses+=("$(curl -s -D "$(head_of "$turn")" -o "$(body_of "$turn")" -w '%{http_code}' "$url/")")
  backends+=("$(sed -n 's/.*"backend":"\([^"]*\)".*/\1/p' "$(body_of "$turn")")")
done
if [ "${statuses[0]}" = 429 ]; then
  echo "this client has used up its requests; try again in $(sed -n 's/^retry-after: *\([0-9]*\).*/\1/Ip' "$(head_of 1)") s"
  exit 2
fi

alternate() {
  local one=${backends[0]} other=${backends[1]}
  [ -n "$one" ] && [ -n "$other" ] && [ "$one" != "$other" ] &&
    [ "${backends[*]:0:6}" = "$one $other $one $other $one $other" ]
}
ten_pass() {
  [ "${statuses[*]:0:10}" = '200 200 200 200 200 200 200 200 200 200' ] &&
    [ "${statuses[*]:10}" = '429 429 429 429 429' ]
}
has_field() { grep -qi "^$2: *[^ ]" "$(head_of "$1")"; }
says_limit() {
  has_field "$1" X-Rate-Limit-Limit && has_field "$1" X-Rate-Limit-Remaining && has_field "$1" X-Rate-Limit-Reset &&
    has_field "$1" RateLimit && has_field "$1" RateLimit-Policy
}
has_histogram() {
  curl -s "$url/metrics" >"$folder/metrics" &&
    grep -qF 'http_requests_duration_seconds_bucket{method="GET",status="200",le="0.01"}' "$folder/metrics"
}

check 'six requests alternate between two backends' alternate
check 'of fifteen requests ten pass and five are refused' ten_pass
check 'answers say what is left' says_limit 1
check 'refusals say so too' says_limit 15
check 'and when to come back' has_field 15 Retry-After
check 'X-Backend names who answered' has_field 1 X-Backend
check 'X-Proxy goes upstream' grep -q '"x-proxy":"ipfleet"' "$(body_of 1)"
check 'the metrics have the histogram' has_histogram
exit "$failed"
