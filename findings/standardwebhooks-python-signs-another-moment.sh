#!/usr/bin/env bash
# The Python library of Standard Webhooks signs a time that depends on the time zone its datetime is written in.
#
# standardwebhooks 1.1.0 (PyPI) against 1.1.1 (npm). sign() replaces the zone of the datetime by UTC instead of converting
# to UTC: 13:00+01:00 and 12:00Z are one moment, and get two signatures. The specification signs id, timestamp and body,
# where the timestamp is in seconds since the epoch and is sent beside the signature.
# Why it matters: a sender with datetime.now().astimezone() passes its tests in a container on UTC. On a machine in another
# zone every receiver refuses every webhook with "No matching signature found", and nothing points at the clock.
# Instead: give sign() a datetime in UTC only: datetime.now(timezone.utc).
#
# Needs: node (20 or newer) with npm, python3 (3.9 or newer) with venv.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
npm install --silent --no-audit --no-fund --ignore-scripts --prefix . standardwebhooks@1.1.1
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check standardwebhooks==1.1.0

cat >finding.py <<'EOF'
import os
from datetime import datetime, timedelta, timezone
from standardwebhooks import Webhook
webhook = Webhook(os.environ['SECRET'])
moment = datetime.now(timezone.utc).replace(microsecond=0)
abroad = moment.astimezone(timezone(timedelta(hours=2)))
assert moment == abroad
print(int(abroad.timestamp()), webhook.sign('msg_1', moment, '{}'), webhook.sign('msg_1', abroad, '{}'))
EOF
cat >finding.mjs <<'EOF'
import { Webhook } from 'standardwebhooks'
const [timestamp, ...signatures] = process.argv.slice(2)
const verdicts = signatures.map((signature) => {
  const headers = { 'webhook-id': 'msg_1', 'webhook-timestamp': timestamp, 'webhook-signature': signature }
  try {
    new Webhook(process.env.SECRET).verify('{}', headers)
    return 'accepted'
  } catch (error) {
    return error.message
  }
})
console.log('standardwebhooks 1.1.0 (PyPI) signs, 1.1.1 (npm) verifies')
console.log('expected: one moment, written in UTC and as UTC+2, is accepted twice')
console.log('seen:     UTC:', verdicts[0])
console.log('          UTC+2:', verdicts[1])
const same = verdicts[0] === 'accepted' && verdicts[1] === 'No matching signature found'
console.log(same ? 'as recorded' : 'CHANGED')
process.exit(same ? 0 : 1)
EOF
SECRET=whsec_$(printf 'only-for-this-demonstration-0001' | base64)
export SECRET
# shellcheck disable=SC2046 # three words: timestamp and two signatures
node finding.mjs $(venv/bin/python finding.py)
