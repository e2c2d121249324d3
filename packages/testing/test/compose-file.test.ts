import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { expect, test } from '@jest/globals'

const execute = promisify(execFile)

const repository = new URL('../../../', import.meta.url)
const composeFile = readFileSync(new URL('docker-compose.yml', repository), 'utf8')

/** Runs a service's main program where no .env is. @returns what it wrote */
async function ask(service: string, ...args: readonly string[]): Promise<string> {
  const main = fileURLToPath(new URL(`services/${service}/src/main.ts`, repository))
  const { stdout } = await execute(process.execPath, [main, ...args], { cwd: tmpdir(), env: {} })
  return stdout
}

/** The names under `environment` of a service. */
function environmentOf(service: string): string[] {
  const [, block = ''] = composeFile.split(new RegExp(`^ {2}${service}:$`, 'm'))
  const [, environment = ''] = /^ {4}environment:\n((?: {6}.*\n)+)/m.exec(block) ?? []
  return [...environment.matchAll(/^ {6}([A-Z_]+):/gm)].map(([, name = '']) => name)
}

test.each(['edge', 'lookup', 'egress', 'bulk'])('%s knows all that it is given', async (service) => {
  const names = environmentOf(service)
  expect(names).toContain('REDIS_URL')
  const help = await ask(service, '--help')
  const known = new Set(help.match(/\b[A-Z][A-Z_]+\b/g))
  expect(names.filter((name) => !known.has(name))).toEqual([])
})

test('the edge takes its configuration', async () => {
  const config = fileURLToPath(new URL('services/edge/config/compose.toml', repository))
  expect(await ask('edge', '--config', config, '--check')).toContain('valid')
})

test('what .env.example explains is what docker-compose.yml reads', () => {
  const example = readFileSync(new URL('.env.example', repository), 'utf8')
  const explained = [...example.matchAll(/^#([A-Z_]+)=/gm)].map(([, name = '']) => name)
  expect(explained).toContain('IPINFO_KEYS')
  expect(explained.filter((name) => !composeFile.includes(`\${${name}:-`))).toEqual([])
})

test('nothing has to be set', () => {
  const read = composeFile.match(/\$\{[^}]*\}/g) ?? []
  expect(read.filter((variable) => !variable.includes(':-'))).toEqual([])
})
