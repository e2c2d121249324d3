import { execFile } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { Ajv } from 'ajv'
import { compileCache } from '../src/compile-cache.ts'
import {
  cases,
  chart,
  chartDigest,
  componentOf,
  type Manifest,
  type PodSpec,
  readManifests,
  readSettingNames,
  readYaml,
  rendered,
  type ServiceName,
  services,
} from '../src/kubernetes-chart.ts'
import type { ApiSchemas } from '../src/kubernetes-schemas.ts'
import { temporaryFolder } from '../src/service-process-folder.ts'

/** What Helm makes of the chart and a matrix of values. kubernetes-helm.long.test.ts shows that Helm still makes it. */

const schemas = new URL('fixtures/kubernetes/schemas/', import.meta.url)
const readSchemas = (file: string) => JSON.parse(readFileSync(new URL(file, schemas), 'utf8')) as ApiSchemas
const clusters = readdirSync(schemas).filter((file) => file.startsWith('kubernetes-'))
const customResources = readSchemas('custom-resources.json')

/** What a cluster of this version would find fault with; null when it takes the manifest. */
function validator(cluster: string): (manifest: Manifest) => unknown {
  const { kinds, definitions } = readSchemas(cluster)
  const ajv = new Ajv({ strict: false })
  ajv.addSchema({ $id: 'cluster', definitions: { ...definitions, ...customResources.definitions } })
  const references = { ...kinds, ...customResources.kinds }
  return (manifest) => {
    const reference = references[`${manifest.apiVersion}/${manifest.kind}`]
    const validate = reference && ajv.getSchema(`cluster${String(reference['$ref'])}`)
    if (validate === undefined) return 'its kind is not known'
    void validate(manifest)
    return validate.errors
  }
}

const manifestsByCase = new Map(cases.map((name) => [name, readManifests(name)]))
const manifestsOf = (name: string): readonly Manifest[] => manifestsByCase.get(name) ?? []
const all = [...manifestsByCase.values()].flat()
const settingNames = new Map<string, ReturnType<typeof readSettingNames>>(
  services.map((service) => [service, readSettingNames(service)]),
)

const hasPods = ({ spec }: Manifest): boolean => spec?.template !== undefined
const podOf = ({ spec }: Manifest) => spec.template?.spec as PodSpec
const idOf = ({ kind, metadata }: Manifest): string => `${kind}/${metadata.name}`

test('the manifests are of the chart as it is (UPDATE_README=1 npm run test:long -- kubernetes-helm makes them)', () => {
  expect(readFileSync(new URL('CHART', rendered), 'utf8')).toBe(`${chartDigest()}\n`)
})

describe.each(clusters)('%s', (cluster) => {
  const faultsOf = validator(cluster)

  test('takes what the chart makes', () => {
    const faults = all.map((manifest) => [idOf(manifest), faultsOf(manifest)])
    expect(faults.filter(([, fault]) => fault !== null)).toEqual([])
  })

  test('would refuse a field that is misspelt', () => {
    const deployment = all.find(({ kind }) => kind === 'Deployment')
    expect(faultsOf({ ...deployment, spec: { ...deployment?.spec, replica: 3 } } as unknown as Manifest)).toMatchObject(
      [{ params: { additionalProperty: 'replica' } }],
    )
  })

  test.each(['alerts.yml', 'recording.yml'])('takes the rules of %s', (file) => {
    const rule = all.find(({ kind }) => kind === 'PrometheusRule')
    expect(faultsOf({ ...rule, spec: readYaml(new URL(`files/rules/${file}`, chart)) } as Manifest)).toBeNull()
  })
})

test('every kind that the schemas have is among the manifests', () => {
  const known = Object.keys({ ...readSchemas(String(clusters[0])).kinds, ...customResources.kinds })
  expect(new Set(all.map(({ apiVersion, kind }) => `${apiVersion}/${kind}`))).toEqual(new Set(known))
})

describe.each(cases)('in the case %s', (name) => {
  const manifests = manifestsOf(name)
  const workloads = manifests.filter(hasPods)
  const ids = manifests.map(idOf)
  const ofServices = workloads.filter((workload) => settingNames.has(componentOf(workload)))
  const selectedBy = (labels: Readonly<Record<string, string>>) =>
    workloads.filter(({ spec }) => {
      const own = spec.template?.metadata.labels ?? {}
      return Object.entries(labels).every(([key, value]) => own[key] === value)
    })

  test('no name is given twice', () => {
    expect(ids).toEqual([...new Set(ids)])
  })

  test('every selector finds Pods of its component, and no others', () => {
    const selectors = manifests.flatMap((manifest) => {
      const { selector, podSelector } = manifest.spec ?? {}
      const labels = selector?.matchLabels ?? podSelector?.matchLabels ?? selector
      return labels === undefined ? [] : [{ manifest, labels }]
    })
    const found = selectors.map(({ manifest, labels }) => [
      idOf(manifest),
      ...new Set(selectedBy(labels).map(componentOf)),
    ])
    expect(found).toEqual(selectors.map(({ manifest }) => [idOf(manifest), componentOf(manifest)]))
  })

  test('every port that is named is one of the Pods', () => {
    const missing = manifests.flatMap((manifest) => {
      const { kind, spec } = manifest
      const pods = workloads.filter((workload) => componentOf(workload) === componentOf(manifest)).map(podOf)
      const there = new Set(
        pods.flatMap(({ containers }) => containers.flatMap(({ ports }) => ports.map((port) => port.name))),
      )
      const named = [
        ...(kind === 'Service' ? (spec.ports ?? []).map(({ targetPort }) => targetPort) : []),
        ...(kind === 'NetworkPolicy' ? (spec.ingress ?? []).flatMap(({ ports }) => ports.map(({ port }) => port)) : []),
        ...(spec?.podMetricsEndpoints ?? []).map(({ port }) => port),
      ]
      return named.filter((port) => !there.has(port))
    })
    expect(missing).toEqual([])
  })

  test('what autoscalers, routes and Pods refer to is there, or is a Secret of yours', () => {
    const { edge, lookup, bulk, egress, redis } = readYaml(new URL(`ci/${name}-values.yaml`, chart)) ?? {}
    const given = new Set([edge, lookup, bulk, egress, redis].map((values) => `Secret/${values?.existingSecret}`))
    const referred = manifests.flatMap(({ kind, spec }) => {
      const text = JSON.stringify(spec ?? {})
      const target = spec?.scaleTargetRef
      const backends = /^(?:Ingress|HTTPRoute)$/.test(kind)
        ? text.matchAll(/"(?:backendRefs":\[|service":)\{"name":"([^"]+)"/g)
        : []
      return [
        ...(target ? [`${target.kind}/${target.name}`] : []),
        ...Array.from(backends, ([, service]) => `Service/${service}`),
        ...Array.from(text.matchAll(/"configMap":\{"name":"([^"]+)"/g), ([, config]) => `ConfigMap/${config}`),
        ...Array.from(text.matchAll(/"secret":\{"name":"([^"]+)"/g), ([, secret]) => `Secret/${secret}`),
      ]
    })
    expect(referred.filter((id) => !ids.includes(id) && !given.has(id))).toEqual([])
  })

  test('every mount is of a volume, and every volume is mounted', () => {
    for (const workload of workloads) {
      const { containers, volumes = [] } = podOf(workload)
      const names = [...volumes, ...(workload.spec.volumeClaimTemplates ?? []).map(({ metadata }) => metadata)].map(
        (each) => each.name,
      )
      const mounted = containers.flatMap(({ volumeMounts }) => volumeMounts.map((mount) => mount.name))
      expect(mounted.toSorted()).toEqual(names.toSorted())
    }
  })

  test('every Pod keeps to the restricted Pod Security Standard, and gets nothing of the API', () => {
    for (const pod of workloads.map(podOf)) {
      expect(pod).toMatchObject({
        automountServiceAccountToken: false,
        enableServiceLinks: false,
        securityContext: { runAsNonRoot: true, seccompProfile: { type: 'RuntimeDefault' } },
      })
      for (const { securityContext } of pod.containers)
        expect(securityContext).toMatchObject({
          allowPrivilegeEscalation: false,
          readOnlyRootFilesystem: true,
          capabilities: { drop: ['ALL'] },
        })
    }
  })

  test('every setting is one of its service, and none holds a secret', () => {
    const faults = ofServices.flatMap((workload) => {
      const known = settingNames.get(componentOf(workload))
      const env = podOf(workload).containers.flatMap((container) => container.env)
      // Without a user and password in it neither a URL of Redis nor a pool is secret.
      const isAllowed = ({ name: setting, value }: (typeof env)[number]) =>
        known?.all.has(setting) === true &&
        typeof value === 'string' &&
        (!known.secrets.includes(setting) || /^(?:REDIS_(?:CACHE_)?URL|IP_POOL)=[^@]+$/.test(`${setting}=${value}`))
      return env.filter((each) => !isAllowed(each))
    })
    expect(faults).toEqual([])
    expect(JSON.stringify(manifests.filter(({ kind }) => kind !== 'Secret'))).not.toMatch(/canary|Y2FuYXJ5/)
  })

  test('every key of a Secret is a secret setting of the service that it is for', () => {
    const unknown = manifests
      .filter(({ kind }) => kind === 'Secret')
      .flatMap((secret) => {
        const { secrets = [] } = settingNames.get(componentOf(secret)) ?? {}
        return Object.keys(secret.data ?? {}).filter((key) => !secrets.includes(key))
      })
    expect(unknown).toEqual([])
  })

  test('a Pod has longer to end than preStop and DRAIN_MS take', () => {
    const sparesSeconds = ofServices.map((workload) => {
      const { terminationGracePeriodSeconds, containers } = podOf(workload)
      const [container] = containers
      const drainMs = Number(container?.env.find((each) => each.name === 'DRAIN_MS')?.value)
      return terminationGracePeriodSeconds - Number(container?.lifecycle.preStop.sleep.seconds) - drainMs / 1000
    })
    expect(sparesSeconds.filter((spare) => !(spare >= 5))).toEqual([])
  })
})

describe('the services', () => {
  let folder: Awaited<ReturnType<typeof temporaryFolder>>
  beforeAll(async () => {
    folder = await temporaryFolder('kubernetes')
  })
  afterAll(async () => folder.remove())

  /** Has a service look at the settings, the Secret and the configuration that its container has. @returns its words */
  async function check(manifests: readonly Manifest[], workload: Manifest): Promise<string> {
    const service = componentOf(workload) as ServiceName
    const place = join(folder.path, workload.metadata.name)
    await mkdir(place)
    const dataOf = (kind: string) => manifests.find((each) => idOf(each) === `${kind}/ipfleet-${service}`)?.data ?? {}
    const file = async (name: string, content: string) => {
      await writeFile(join(place, name), content)
      return join(place, name)
    }
    const env: Record<string, string> = {}
    for (const { name, value } of podOf(workload).containers.flatMap((container) => container.env)) env[name] = value
    for (const [name, value] of Object.entries(dataOf('Secret')))
      env[`${name}_FILE`] = await file(name, Buffer.from(value, 'base64').toString())
    const config = dataOf('ConfigMap')['proxy.toml']
    const args = config === undefined ? [] : ['--config', await file('proxy.toml', config)]
    const main = fileURLToPath(new URL(`../../../services/${service}/src/main.ts`, import.meta.url))
    const options = { cwd: place, env: { ...env, ...compileCache } }
    const { stdout, stderr } = await promisify(execFile)(process.execPath, [main, ...args, '--check'], options)
    return stderr + stdout
  }

  test.each([
    ['egress', 'Deployment/ipfleet-edge'],
    ['default', 'Deployment/ipfleet-bulk'],
    ['egress', 'Deployment/ipfleet-lookup'],
    ['egress', 'Deployment/ipfleet-egress-node-a'],
  ])('take what the case %s has for %s', async (name, id) => {
    const workload = manifestsOf(name).find((manifest) => idOf(manifest) === id) as Manifest
    expect(await check(manifestsOf(name), workload)).toMatch(/^[^\n]*\bvalid\b[^\n]*\n$/)
  })
})
