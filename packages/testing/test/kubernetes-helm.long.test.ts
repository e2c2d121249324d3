import { readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from '@jest/globals'
import { findHelm } from '../src/helm.ts'
import { cases, chart, chartDigest, parseManifests, readYaml, rendered } from '../src/kubernetes-chart.ts'

const helm = findHelm()
if (typeof helm === 'string') process.stderr.write(`The chart is not rendered anew: ${helm}\n`)
const withHelm = typeof helm === 'string' ? describe.skip : describe

const folder = fileURLToPath(chart)
const valuesOf = (name: string) => ['--values', fileURLToPath(new URL(`ci/${name}-values.yaml`, chart))]

async function run(...args: readonly string[]): Promise<string> {
  if (typeof helm === 'string') throw new Error(helm)
  return helm(...args)
}

async function render(...args: readonly string[]): Promise<string> {
  // A Helm that `go install` has built takes the cluster for 1.20 unless it is told.
  return run('template', 'ipfleet', folder, '--namespace', 'ipfleet', '--kube-version', '1.37.2', ...args)
}

/** The rules change on their own: services/prometheus/rules. */
function withoutRules(manifests: string): string {
  return manifests.replace(/(kind: PrometheusRule\n[^]*?\n {2}groups:)\n[^]*?(?=---|$)/, '$1 []\n')
}

withHelm('Helm', () => {
  test.each(cases)('renders the case %s as it is kept (UPDATE_README=1 keeps it anew)', async (name) => {
    const manifests = await render(...valuesOf(name))
    const kept = new URL(`${name}.yaml`, rendered)
    if (process.env['UPDATE_README'] !== undefined) {
      writeFileSync(kept, withoutRules(manifests))
      writeFileSync(new URL('CHART', rendered), `${chartDigest()}\n`)
    }
    expect(withoutRules(manifests)).toBe(readFileSync(kept, 'utf8'))
  })

  test.each(cases)('finds no fault with the chart in the case %s', async (name) => {
    expect(await run('lint', '--strict', folder, '--kube-version', '1.37.2', ...valuesOf(name))).toContain(
      '0 chart(s) failed',
    )
  })

  test('puts the rules of services/prometheus into the cluster', async () => {
    const manifests = parseManifests(await render('--set', 'monitoring.rules.enabled=true'))
    const rule = manifests.find(({ kind }) => kind === 'PrometheusRule')
    const groups = ['alerts', 'recording'].flatMap(
      (file) => (readYaml(new URL(`files/rules/${file}.yml`, chart)) as { groups: object[] }).groups,
    )
    expect(rule?.spec).toEqual({ groups })
  })

  test('takes false and 0 of a service before the defaults', async () => {
    const manifests = parseManifests(
      await render('--set', 'defaults.autoscaling.enabled=true,lookup.autoscaling.enabled=false,lookup.replicas=0'),
    )
    expect(
      manifests.filter(({ kind }) => kind === 'HorizontalPodAutoscaler').map(({ metadata }) => metadata.name),
    ).toEqual(['ipfleet-edge', 'ipfleet-bulk'])
    const lookup = manifests.find(({ kind, metadata }) => kind === 'Deployment' && metadata.name === 'ipfleet-lookup')
    expect(lookup?.spec).toMatchObject({ replicas: 0 })
  })

  test('takes images of a registry, in the version of the program', async () => {
    expect(await render('--set', 'image.registry=ghcr.io/example')).toMatch(
      /image: ghcr\.io\/example\/ipfleet-lookup:\d+\.\d+\.\d+\n/,
    )
  })

  test.each([
    ['httpRoute.enabled=true', 'httpRoute.parentRefs: name the Gateway'],
    ['monitoring.podMonitors.enabled=true', 'edge.metricsAllow: name'],
    ['redis.url=redis://user:secret@redis:6379', 'redis.url: put user and password into'],
    ['lookup.settings.CACHE_MAX_ENTRYS=5', 'CACHE_MAX_ENTRYS'],
    ['ingress.enabled=true,edge.enabled=false', 'edge.enabled'],
  ])('refuses %s and says what to do', async (values, reason) => {
    await expect(render('--set', values)).rejects.toThrow(reason)
  })
})
