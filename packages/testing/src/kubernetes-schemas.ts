/** A JSON Schema, or a part of one, as OpenAPI has it. */
export interface Schema {
  readonly [keyword: string]: unknown
}

export interface ApiSchemas {
  /** By `apps/v1/Deployment`: a reference to one of the definitions. */
  readonly kinds: Readonly<Record<string, Schema>>
  readonly definitions: Readonly<Record<string, Schema>>
}

interface OpenApi {
  readonly definitions: Readonly<Record<string, Schema>>
}

interface ResourceDefinition {
  readonly spec: {
    readonly group: string
    readonly names: { readonly kind: string }
    readonly versions: readonly {
      readonly name: string
      readonly storage: boolean
      readonly schema: { readonly openAPIV3Schema: Schema }
    }[]
  }
}

interface GroupVersionKind {
  readonly group: string
  readonly version: string
  readonly kind: string
}

/** The kinds that the chart has. */
const usedKinds = new Set([
  'apps/v1/DaemonSet',
  'apps/v1/Deployment',
  'apps/v1/StatefulSet',
  'autoscaling/v2/HorizontalPodAutoscaler',
  'networking.k8s.io/v1/Ingress',
  'networking.k8s.io/v1/NetworkPolicy',
  'policy/v1/PodDisruptionBudget',
  'v1/ConfigMap',
  'v1/Secret',
  'v1/Service',
])

const reference = '#/definitions/'
const shortName = (name: string): string => name.replace(/^io\.k8s\.(?:api|apimachinery\.pkg)\./, '')

/** Of Kubernetes' OpenAPI document what concerns the kinds that the chart has. */
export function reduceOpenApi({ definitions: all }: OpenApi): ApiSchemas {
  const kinds: Record<string, Schema> = {}
  const definitions: Record<string, Schema> = {}
  const take = (name: string): void => {
    if (definitions[shortName(name)] !== undefined) return
    const schema = reduceDefinition(name, all[name] ?? {})
    definitions[shortName(name)] = schema
    for (const [, other = ''] of JSON.stringify(all[name] ?? {}).matchAll(/"#\/definitions\/([^"]+)"/g)) {
      if (JSON.stringify(schema).includes(`"${reference}${shortName(other)}"`)) take(other)
    }
  }
  for (const [name, schema] of Object.entries(all)) {
    for (const kind of kindsOf(schema).filter((id) => usedKinds.has(id))) {
      kinds[kind] = { $ref: reference + shortName(name) }
      take(name)
    }
  }
  return { kinds, definitions }
}

function kindsOf(schema: Schema): string[] {
  const ids = (schema['x-kubernetes-group-version-kind'] ?? []) as readonly GroupVersionKind[]
  return ids.map(({ group, version, kind }) => [group, version, kind].filter((part) => part !== '').join('/'))
}

/** Of a CustomResourceDefinition the version that is stored. */
export function reduceResourceDefinition({ spec }: ResourceDefinition): ApiSchemas {
  const version = spec.versions.find(({ storage }) => storage)
  const id = `${spec.group}/${version?.name}/${spec.names.kind}`
  const { status: _, ...properties } = (version?.schema.openAPIV3Schema['properties'] ?? {}) as Record<string, Schema>
  const schema = reduce({ type: 'object', required: ['metadata', 'spec'], properties })
  return { kinds: { [id]: { $ref: reference + spec.names.kind } }, definitions: { [spec.names.kind]: schema } }
}

/** Two types are written as text or number; the document, of OpenAPI 2, knows one type each. */
function reduceDefinition(name: string, schema: Schema): Schema {
  if (name.endsWith('.intstr.IntOrString')) return { type: ['integer', 'string'] }
  if (name.endsWith('.resource.Quantity')) return { type: ['number', 'string'] }
  if (kindsOf(schema).length === 0) return reduce(schema)
  // What the cluster writes is not in a manifest.
  const { status: _, ...properties } = (schema['properties'] ?? {}) as Record<string, Schema>
  const isUsed = kindsOf(schema).some((kind) => usedKinds.has(kind))
  return { ...reduce({ ...schema, properties }), ...(isUsed ? { required: ['apiVersion', 'kind', 'metadata'] } : {}) }
}

const unusedKeywords = new Set(['description', 'format', 'default', 'example', 'externalDocs', 'title'])

/** Without texts and extensions; objects with known properties have no others, as for `kubectl --validate=strict`. */
function reduce(schema: Schema): Schema {
  const reduced: Record<string, unknown> = {}
  for (const [keyword, value] of Object.entries(schema)) {
    if (unusedKeywords.has(keyword) || keyword.startsWith('x-')) continue
    reduced[keyword] = reduceKeyword(keyword, value)
  }
  if (schema['x-kubernetes-int-or-string'] === true) return { type: ['integer', 'string'] }
  const isClosed = schema['properties'] !== undefined && schema['x-kubernetes-preserve-unknown-fields'] !== true
  return isClosed && schema['additionalProperties'] === undefined
    ? { ...reduced, additionalProperties: false }
    : reduced
}

function reduceKeyword(keyword: string, value: unknown): unknown {
  // Go's `(?i)` holds for what follows it.
  if (keyword === 'pattern') return String(value).replace(/^\^\(\?i\)(.*)\$$/, '^(?i:$1)$')
  if (keyword === '$ref') return reference + shortName(String(value).slice(reference.length))
  if (keyword === 'properties')
    return Object.fromEntries(Object.entries(value as Record<string, Schema>).map(([name, of]) => [name, reduce(of)]))
  if (Array.isArray(value)) return value.map((item: unknown) => (isSchema(item) ? reduce(item) : item))
  return isSchema(value) ? reduce(value) : value
}

function isSchema(value: unknown): value is Schema {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
