import { createHash } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { parse, parseAllDocuments } from 'yaml'

export const chart = new URL('../../../services/kubernetes/', import.meta.url)
export const rendered = new URL('../test/fixtures/kubernetes/rendered/', import.meta.url)

export const services = ['edge', 'lookup', 'bulk', 'egress'] as const
export type ServiceName = (typeof services)[number]

/** The matrix of values: `default` is `ci/default-values.yaml`. */
export const cases: readonly string[] = readdirSync(new URL('ci/', chart))
  .map((file) => file.replace('-values.yaml', ''))
  .toSorted()

/** An object of the cluster; its parts are as the schemas of its kind have them. */
export interface Manifest {
  readonly apiVersion: string
  readonly kind: string
  readonly metadata: { readonly name: string; readonly labels: Readonly<Record<string, string>> }
  readonly spec: ManifestSpec
  /** Of a ConfigMap or a Secret. */
  readonly data?: Readonly<Record<string, string>>
}

interface ManifestSpec {
  readonly template?: { readonly metadata: Manifest['metadata']; readonly spec: PodSpec }
  readonly selector?: Labels & { readonly matchLabels?: Labels }
  readonly podSelector?: { readonly matchLabels: Labels }
  readonly ports?: readonly { readonly targetPort: string }[]
  readonly ingress?: readonly { readonly ports: readonly { readonly port: string }[] }[]
  readonly volumeClaimTemplates?: readonly { readonly metadata: { readonly name: string } }[]
  readonly scaleTargetRef?: { readonly kind: string; readonly name: string }
  readonly podMetricsEndpoints?: readonly { readonly port: string }[]
}

type Labels = Readonly<Record<string, string>>

export interface PodSpec {
  readonly containers: readonly Container[]
  readonly volumes?: readonly { readonly name: string }[]
  readonly terminationGracePeriodSeconds: number
}

interface Container {
  readonly name: string
  readonly env: readonly { readonly name: string; readonly value: string }[]
  readonly ports: readonly { readonly name: string }[]
  readonly lifecycle: { readonly preStop: { readonly sleep: { readonly seconds: number } } }
  readonly securityContext: Readonly<Record<string, unknown>>
  readonly volumeMounts: readonly { readonly name: string }[]
}

/** What Helm has made of the chart with the values of a case. */
export function readManifests(name: string): readonly Manifest[] {
  return parseManifests(readFileSync(new URL(`${name}.yaml`, rendered), 'utf8'))
}

/** Kubernetes reads YAML 1.1: 0440 is octal there. */
export function parseManifests(text: string): readonly Manifest[] {
  return parseAllDocuments(text, { version: '1.1' })
    .map((document) => document.toJS() as Manifest | null)
    .filter((manifest) => manifest !== null)
}

/** Of values: the keys that tests look at. */
interface Values {
  readonly [part: string]: { readonly existingSecret?: string } | undefined
}

/** Null when there is nothing in the file. */
export function readYaml(file: URL): Values | null {
  return parse(readFileSync(file, 'utf8'), { version: '1.1' }) as Values | null
}

/** `lookup`, `redis` … */
export function componentOf({ metadata }: Manifest): string {
  return metadata.labels['app.kubernetes.io/component'] ?? ''
}

/** Changes when the manifests may change. Rules are not in the snapshots, and schema and README make no manifests. */
export function chartDigest(): string {
  const files = readdirSync(chart, { recursive: true, encoding: 'utf8' })
    .filter((file) => /^(?:Chart|values|templates\/.*|ci\/.*)\.(?:yaml|tpl)$/.test(file))
    .toSorted()
  const hash = createHash('sha256')
  for (const file of files) hash.update(`${file}\n${readFileSync(new URL(file, chart), 'utf8')}`)
  return hash.digest('hex')
}

export interface SettingNames {
  readonly all: ReadonlySet<string>
  /** What may come from a file `NAME_FILE`, and so from a key NAME of a Secret. */
  readonly secrets: readonly string[]
}

/** The settings of a service by its README, whose table is held to the schema. */
export function readSettingNames(service: ServiceName): SettingNames {
  const readme = readFileSync(new URL(`../${service}/README.md`, chart), 'utf8')
  const [, table = ''] = readme.split(`<!-- settings: ${service} -->`)
  const rows = [...table.matchAll(/^\| `([A-Z][A-Z_0-9]+)`(?:, `([A-Z_0-9]+)_FILE`)? \|/gm)]
  const all = rows.map(([, name = '']) => name)
  // KEYS_FILE and USERS_FILE have no twin: they are files only.
  const files = all.filter((name) => name.endsWith('_FILE')).map((name) => name.replace('_FILE', ''))
  const twins = rows.flatMap(([, , twin]) => twin ?? [])
  return { all: new Set([...all, ...twins.map((name) => `${name}_FILE`)]), secrets: [...twins, ...files].toSorted() }
}
