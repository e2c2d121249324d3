import { execFile } from 'node:child_process'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname } from 'node:path'
import { fileURLToPath } from 'node:url'
import { compileCache } from '../src/compile-cache.ts'
import { edgeFlags, memoryFlags } from '../src/memory-flags.ts'
import { temporaryFolder } from '../src/service-process-folder.ts'
import { lookupEntry, startService } from '../src/service-process.ts'
import { promisify } from 'node:util'
import { beforeAll, expect, test } from '@jest/globals'

const execute = promisify(execFile)

const repository = new URL('../../../', import.meta.url)
const composeFileUrl = new URL('docker-compose.yml', repository)
let composeFile = readFileSync(composeFileUrl, 'utf8')

/** Runs a service's main program where no .env is. @returns what it wrote */
async function ask(service: string, ...args: readonly string[]): Promise<string> {
  const main = fileURLToPath(new URL(`services/${service}/src/main.ts`, repository))
  const { stdout } = await execute(process.execPath, [main, ...args], { cwd: tmpdir(), env: compileCache })
  return stdout
}

const services = ['edge', 'lookup', 'egress', 'bulk']

/** What docker-compose.yml itself decides on, since it is how the containers find each other. */
const wired: Readonly<Record<string, readonly string[]>> = {
  edge: ['REDIS_URL'],
  lookup: ['REDIS_URL', 'REDIS_CACHE_URL', 'PORT', 'HOST', 'TRUST_PROXY'],
  egress: ['REDIS_URL', 'LISTEN_ADDR', 'METRICS_ADDR'],
  bulk: ['REDIS_URL', 'LOOKUP_URL', 'PORT', 'HOST', 'TRUST_PROXY'],
}

const settings = new Map<string, readonly string[]>()
beforeAll(async () => {
  for (const service of services) settings.set(service, await readSettings(service))
})

const settingsOf = (service: string): readonly string[] => settings.get(service) ?? []

/** All settings of a service, in the order of its help, which is made from the schema. */
async function readSettings(service: string): Promise<string[]> {
  const help = await ask(service, '--help')
  return Array.from(help.matchAll(/^ {2}([A-Z][A-Z_0-9]+) /gm), ([, name = '']) => name)
}

const passedOn = '      # Settings of .env, all that there are:\n'

/** The lines of `environment` of a service: those of the file itself, and those that pass on what .env has. */
function environmentOf(service: string) {
  const [, block = ''] = composeFile.split(new RegExp(`^ {2}${service}:$`, 'm'))
  const [, environment = ''] = /^ {4}environment:\n((?: {6}.*\n)+)/m.exec(block) ?? []
  const [own = '', fromDotEnv = ''] = environment.split(passedOn)
  return { own, fromDotEnv }
}

/** As `VIA: ${VIA:-}`; a line that has a default of its own stays. */
function linesFor(names: readonly string[], before: string): string {
  const lineOf = (name: string): string =>
    new RegExp(`^ {6}${name}: .*\n`, 'm').exec(before)?.[0] ?? `      ${name}: \${${name}:-}\n`
  return names.map(lineOf).join('')
}

if (process.env['UPDATE_README'] !== undefined) {
  beforeAll(() => {
    for (const service of services) {
      const { fromDotEnv } = environmentOf(service)
      const lines = linesFor(fromDotEnvOf(service), fromDotEnv)
      composeFile = composeFile.replace(`${passedOn}${fromDotEnv}`, `${passedOn}${lines}`)
    }
    writeFileSync(composeFileUrl, composeFile)
  })
}

function fromDotEnvOf(service: string): string[] {
  const elsewhere = new Set([...(wired[service] ?? []), 'LOG_LEVEL', 'LOG_FORMAT'])
  return settingsOf(service).filter((name) => !elsewhere.has(name))
}

// UPDATE_README=1 writes them.
test.each(services)('every setting of %s reaches its container from .env', (service) => {
  const { own, fromDotEnv } = environmentOf(service)
  expect(own).toContain('<<: *log')
  expect(fromDotEnv).toBe(linesFor(fromDotEnvOf(service), fromDotEnv))
})

test.each(services)(
  '%s warns of no setting of another service in the same .env, nor of what Compose reads',
  async (service) => {
    const names = services.flatMap(settingsOf)
    const read = Array.from(composeFile.matchAll(/\$\{(\w+)/g), ([, name = '']) => name)
    const own = new Set(settingsOf(service))
    const others = [...new Set([...names, ...read])].filter((name) => !own.has(name))
    const env = {
      ...compileCache,
      REDIS_URL: 'redis://localhost',
      ...Object.fromEntries(others.map((name) => [name, 'x'])),
    }
    const main = fileURLToPath(new URL(`services/${service}/src/main.ts`, repository))
    const { stderr } = await execute(process.execPath, [main, '--check'], { cwd: tmpdir(), env })
    expect(stderr).toBe('')
  },
)

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

test('in images Node has the flags of npm start', async () => {
  const script = readFileSync(new URL('.docker/service.sh', repository), 'utf8')
  const reading = /^case[^]*?^flags=.*$/m.exec(script)?.[0] ?? 'service.sh does not read them'
  const flagsOf = async (service: string): Promise<string[]> => {
    const env = { ...process.env, SERVICE: service }
    const { stdout } = await execute('sh', ['-c', `${reading}; echo $flags`], { cwd: fileURLToPath(repository), env })
    return stdout.trim().split(' ')
  }
  expect(await flagsOf('lookup')).toEqual(memoryFlags)
  expect(await flagsOf('bulk')).toEqual(memoryFlags)
  expect(await flagsOf('edge')).toEqual(edgeFlags)
  expect(await flagsOf('egress')).toEqual([''])
})

test('images hold what a service loads at its start in compiled form: a container compiles next to nothing', async () => {
  const dockerfile = readFileSync(new URL('.docker/Dockerfile', repository), 'utf8')
  const [, given = '', run = ''] =
    /^((?: +NODE_\w+=.*\n)*) +setpriv .*(\.docker\/service\.sh.*)$/m.exec(dockerfile) ?? []
  const cwd = fileURLToPath(repository)
  const kept = await temporaryFolder('compiled')
  const filesKept = (): number => readdirSync(kept.path, { recursive: true }).length
  try {
    const env = { PATH: `${dirname(process.execPath)}:/usr/bin:/bin`, SERVICE: 'lookup', NODE_COMPILE_CACHE: kept.path }
    await execute('sh', ['-c', `${given.replaceAll('\\\n', '').replaceAll('/app/', cwd)}${run}`], { cwd, env })
    const inImage = filesKept()
    const replica = await startService({
      entry: lookupEntry,
      nodeFlags: memoryFlags,
      env: { PORT: '0', HOST: '127.0.0.1', LOG_FORMAT: 'json', DRAIN_MS: '0', NODE_COMPILE_CACHE: kept.path },
    })
    await replica.stop()
    expect(inImage).toBeGreaterThan(0.95 * filesKept())
  } finally {
    await kept.remove()
  }
})
