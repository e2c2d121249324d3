#!/usr/bin/env bash
# Schemas of PrometheusRule and AlertmanagerConfig cannot be used by validators of JavaScript and Python: a pattern throws.
#
# prometheus-operator v0.85.0 (its CRDs, from the Go module), ajv 8.20.0 (npm), jsonschema 4.26.0 (PyPI). The patterns of
# partial_response_strategy, months and weekdays have (?i) in their middle. That is valid in RE2, which the API server uses,
# and in neither ECMA 262, which JSON Schema and OpenAPI name for "pattern", nor Python from 3.11 on. So a valid rule cannot
# be checked before it is sent: ajv fails when it compiles the schema, whatever the rule has; jsonschema when a rule has the
# field.
# Why it matters: checks of manifests in editors and CI are written in these two languages, and end in an exception that
# reads like a fault of the manifest. A check that was made with rules without the field breaks with the first that has it.
# Instead: take "pattern" out of these places before validating (or write [Aa][Bb]… there), or validate with a program in Go.
#
# Needs: go, node (20 or newer) with npm, python3 (3.11 or newer) with venv.
set -euo pipefail
dir=$(mktemp -d)
trap 'chmod -R u+w "$dir"; rm -rf "$dir"' EXIT
cd "$dir"
export GOMODCACHE="$dir/modules" GOFLAGS=-modcacherw
module=$(go mod download -json github.com/prometheus-operator/prometheus-operator@v0.85.0 | sed -n 's/^\t"Dir": "\(.*\)",$/\1/p')
npm install --silent --no-audit --no-fund --ignore-scripts --prefix . ajv@8.20.0 yaml@2.8.1
python3 -m venv python
python/bin/pip install --quiet --disable-pip-version-check jsonschema==4.26.0

cat >schema.mjs <<'EOF'
import { readFileSync, writeFileSync } from 'node:fs'
import { parse } from 'yaml'

const crd = parse(readFileSync(process.argv[2], 'utf8'))
writeFileSync('schema.json', JSON.stringify(crd.spec.versions[0].schema.openAPIV3Schema))
const group = { name: 'a', rules: [{ record: 'a:b', expr: '1' }] }
const rule = (more) => ({ apiVersion: 'monitoring.coreos.com/v1', kind: 'PrometheusRule', spec: { groups: [{ ...group, ...more }] } })
writeFileSync('rules.json', JSON.stringify({ 'without the field': rule({}), 'with warn': rule({ partial_response_strategy: 'warn' }) }))
EOF
cat >finding.mjs <<'EOF'
import { readFileSync } from 'node:fs'
import Ajv from 'ajv'

for (const [name, rule] of Object.entries(JSON.parse(readFileSync('rules.json', 'utf8')))) {
  try {
    const schema = JSON.parse(readFileSync('schema.json', 'utf8'))
    console.log(`ajv, a rule ${name}: ${new Ajv({ strict: false, logger: false }).validate(schema, rule) ? 'valid' : 'invalid'}`)
  } catch (error) {
    console.log(`ajv, a rule ${name}: ${error.name}: ${error.message}`)
  }
}
EOF
cat >finding.py <<'EOF'
import json
from jsonschema import Draft7Validator

validator = Draft7Validator(json.load(open('schema.json')))
for name, rule in json.load(open('rules.json')).items():
    try:
        print(f"jsonschema, a rule {name}: {'valid' if validator.is_valid(rule) else 'invalid'}")
    except Exception as error:
        print(f'jsonschema, a rule {name}: {type(error).__name__}: {error}')
EOF
node schema.mjs "$module/example/prometheus-operator-crd/monitoring.coreos.com_prometheusrules.yaml"
echo 'prometheus-operator v0.85.0, ajv 8.20.0, jsonschema 4.26.0'
echo 'expected: both rules valid for both'
seen=$(node finding.mjs; python/bin/python finding.py)
echo "$seen"
[ "$(grep -c 'ajv.*SyntaxError: Invalid regular expression' <<<"$seen")" = 2 ] &&
  grep -q 'jsonschema, a rule without the field: valid' <<<"$seen" &&
  grep -Eq 'jsonschema, a rule with warn: (error|PatternError): global flags not at the start' <<<"$seen" ||
  { echo 'this has changed' >&2; exit 1; }
