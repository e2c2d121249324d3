import { spawnSync } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from '@jest/globals'
import { findPromtool } from '../src/promtool.ts'

const folder = fileURLToPath(new URL('../../../services/prometheus', import.meta.url))

const promtool = await findPromtool()
if (typeof promtool === 'string') process.stderr.write(`What promtool would check is not tested: ${promtool}\n`)
const withPromtool = typeof promtool === 'string' ? describe.skip : describe

async function run(...args: readonly string[]): Promise<string> {
  if (typeof promtool === 'string') throw new Error(promtool)
  return promtool(folder, args)
}

withPromtool('promtool', () => {
  test('takes the scrape configuration with its rules', async () => {
    expect(await run('check', 'config', 'prometheus.yml')).toContain('is valid prometheus config file syntax')
  })

  test('sees every alert fire when it should, and not when it should not', async () => {
    expect(await run('test', 'rules', 'test/alerts.yml')).toContain('SUCCESS')
  })
})

test('vmagent gets the same jobs, without the keys that it does not know', async () => {
  const [prometheus = '', vmagent = ''] = await Promise.all(
    ['prometheus.yml', 'vmagent.yml'].map((file) => readFile(`${folder}/${file}`, 'utf8')),
  )
  const [, jobs = ''] = /^(scrape_configs:\n[^]*?)\n {2}- job_name: prometheus/m.exec(prometheus) ?? []
  expect(vmagent).toContain(jobs.replaceAll(', refresh_interval: 5s', ''))
  // vmagent 1.136 refuses what it does not know.
  expect(vmagent).not.toMatch(
    /^[^#]*\b(?:refresh_interval|fallback_scrape_protocol|rule_files|alerting|evaluation_interval):/m,
  )
})

const hasAmtool = spawnSync('amtool', ['--version']).error === undefined
if (!hasAmtool)
  process.stderr.write("The Alertmanager's file is not checked: amtool is Debian's prometheus-alertmanager\n")
const withAmtool = hasAmtool ? describe : describe.skip

withAmtool('amtool', () => {
  test('takes the file of the Alertmanager, and finds the receiver of an alert', () => {
    const file = `${folder}/alertmanager/alertmanager.yml`
    expect(amtool('check-config', file)).toContain('SUCCESS')
    expect(amtool('config', 'routes', 'test', `--config.file=${file}`, 'severity=critical')).toBe('operators\n')
  })
})

function amtool(...args: readonly string[]): string {
  return spawnSync('amtool', args, { encoding: 'utf8' }).stdout
}

test('every alert says how bad it is and what to do first, and is tested', async () => {
  const [alerts, tests] = await Promise.all(
    ['rules/alerts.yml', 'test/alerts.yml'].map((file) => readFile(`${folder}/${file}`, 'utf8')),
  )
  const blocks = (alerts ?? '').split(/^ {6}- alert: /m).slice(1)
  expect(blocks.length).toBeGreaterThan(0)
  for (const block of blocks) {
    expect(block).toMatch(/severity: (?:critical|warning)/)
    for (const annotation of ['summary', 'description', 'runbook'])
      expect(block).toMatch(new RegExp(`${annotation}: .`))
    const [name] = block.split('\n')
    expect(tests).toContain(`alertname="${name}"`)
  }
})
