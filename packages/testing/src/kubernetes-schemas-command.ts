import { execFileSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { parse } from 'yaml'
import { type ApiSchemas, reduceOpenApi, reduceResourceDefinition, type Schema } from './kubernetes-schemas.ts'

/**
 * Makes the schemas anew that the manifests of the chart are held to: `npm run kubernetes-schemas`, where Go 1.26 or
 * newer is. They come from Go modules; the oldest and the newest Kubernetes that the chart is for.
 */
const folder = new URL('../test/fixtures/kubernetes/schemas/', import.meta.url)
const clusters = ['v1.31.14', 'v1.37.2']
const gatewayApi = { module: 'sigs.k8s.io/gateway-api', version: 'v1.6.3', folder: 'config/crd/standard' }
const prometheusOperator = {
  module: 'github.com/prometheus-operator/prometheus-operator',
  version: 'v0.85.0',
  folder: 'example/prometheus-operator-crd',
}
const resources = [
  { ...gatewayApi, file: 'gateway.networking.k8s.io_httproutes.yaml' },
  { ...prometheusOperator, file: 'monitoring.coreos.com_podmonitors.yaml' },
  { ...prometheusOperator, file: 'monitoring.coreos.com_prometheusrules.yaml' },
]

for (const version of clusters) {
  const path = `${folderOf('k8s.io/kubernetes', version)}/api/openapi-spec/swagger.json`
  write(`kubernetes-${version}.json`, reduceOpenApi(JSON.parse(readFileSync(path, 'utf8'))))
}
const found = resources.map(({ module, version, folder: inside, file }) =>
  reduceResourceDefinition(parse(readFileSync(`${folderOf(module, version)}/${inside}/${file}`, 'utf8'))),
)
write('custom-resources.json', {
  kinds: Object.assign({}, ...found.map(({ kinds }) => kinds)),
  definitions: Object.assign({}, ...found.map(({ definitions }) => definitions)),
})

/** Where Go has put a module, which it fetches first if it has to. */
function folderOf(module: string, version: string): string {
  const env = { ...process.env, GOFLAGS: '-mod=mod' }
  const answer = execFileSync('go', ['mod', 'download', '-json', `${module}@${version}`], { env, encoding: 'utf8' })
  return (JSON.parse(answer) as { readonly Dir: string }).Dir
}

/** With a definition a line, so that a change can be read. */
function write(name: string, { kinds, definitions }: ApiSchemas): void {
  writeFileSync(new URL(name, folder), `{"kinds":{\n${lines(kinds)}\n},"definitions":{\n${lines(definitions)}\n}}\n`)
}

function lines(schemas: Readonly<Record<string, Schema>>): string {
  const names = Object.keys(schemas).toSorted()
  return names.map((name) => `${JSON.stringify(name)}:${JSON.stringify(schemas[name])}`).join(',\n')
}
