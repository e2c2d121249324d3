// Installs the dependencies where they are not installed yet, before a script of package.json runs. Plain JavaScript
// without dependencies: it runs on the Node that is there, which may be older than the one that it installs.
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const repository = fileURLToPath(new URL('..', import.meta.url))
const stamp = `${repository}node_modules/.ipfleet-installed`
/** What `npx --no-install ipfleet` finds. pnpm links only the commands of what the repository itself depends on. */
const command = `${repository}node_modules/.bin/ipfleet`
/**
 * Runs on the Node beside it, also from cron or by a link in another directory, where the PATH has an older one. Compiled
 * code is kept where `npm start` keeps it.
 */
const launcher = `#!/bin/sh
folder=$(dirname "$(readlink -f "$0")")
export NODE_COMPILE_CACHE="\${NODE_COMPILE_CACHE:-\${folder%/*}/.cache/node}"
PATH="$folder:$PATH" exec node "$folder/../../packages/cli/src/ipfleet.ts" "$@"
`

const manifests = new Map(workspaceFolders().map((folder) => [folder, readJson(`${folder}package.json`)]))
const { version: pnpmVersion } = manifests.get(repository).devEngines.packageManager

refuseOptionsWithoutDashes()
if (!isInstalled()) install()

/**
 * npm keeps options that do not follow `--`: `npm start --check` would start a service, and `npm run edge --config=FILE`
 * one with another file. It tells scripts of them in the environment. Options that npm has too (`--json`) are not here.
 */
function refuseOptionsWithoutDashes() {
  const script = /^pre(.+)/.exec(process.env.npm_lifecycle_event ?? '')?.[1]
  const options =
    'check config replicas keys port latency-ms redis-port dir fields url column output o rounds seconds lines'
  const kept = options.split(' ').filter((name) => process.env[`npm_config_${name.replaceAll('-', '_')}`] !== undefined)
  if (script === undefined || kept.length === 0) return
  const typed = kept.map((name) => (name.length === 1 ? `-${name}` : `--${name}`)).join(', ')
  const asTyped = script === 'start' ? 'npm start' : `npm run ${script}`
  fail(`npm has kept ${typed} for itself: options follow \`--\`, as in \`${asTyped} -- ${typed.split(',')[0]} …\``)
}

/** The repository, and every package in it. All end in a slash. */
function workspaceFolders() {
  const packages = ['services', 'packages'].flatMap((group) =>
    readdirSync(repository + group).map((name) => `${repository}${group}/${name}/`),
  )
  return [repository, ...packages.filter((folder) => existsSync(`${folder}package.json`))]
}

function readJson(file) {
  return JSON.parse(readFileSync(file, 'utf8'))
}

/** Whether the last installation was of the same lockfile and manifests, and nothing of it was removed since. */
function isInstalled() {
  if (!existsSync(command) || !existsSync(stamp) || readFileSync(stamp, 'utf8') !== fingerprint()) return false
  return [...manifests].every(([folder, { dependencies, devDependencies }]) =>
    Object.keys({ ...dependencies, ...devDependencies }).every((name) => existsSync(`${folder}node_modules/${name}`)),
  )
}

function fingerprint() {
  const hash = createHash('sha256').update(`${process.platform} ${process.arch} ${pnpmVersion}\n${launcher}`)
  for (const name of ['pnpm-lock.yaml', 'pnpm-workspace.yaml']) hash.update(readFileSync(repository + name))
  for (const folder of manifests.keys()) hash.update(readFileSync(`${folder}package.json`))
  return hash.digest('hex')
}

/** From what this machine has fetched before, else from the registry. Ends the process when neither is possible. */
function install() {
  refuseSudo()
  const startedMs = Date.now()
  say('installing the dependencies, which is done once')
  const offline = pnpm('--offline', ['ignore', 'ignore', 'ignore'])
  if (offline !== 0) installFromRegistry()
  // The owner's, so that a service which is run with sudo does not make it root's. It holds compiled code.
  mkdirSync(`${repository}node_modules/.cache/node`, { recursive: true })
  rmSync(command, { force: true })
  writeFileSync(command, launcher, { mode: 0o755 })
  writeFileSync(stamp, fingerprint())
  say(`installed in ${Math.ceil((Date.now() - startedMs) / 1000)} s`)
}

/** pnpm by itself retries for minutes without a word when the registry cannot be reached, and so does npm. */
function installFromRegistry() {
  const registry = configuredRegistry()
  say(`fetching from ${registry}`)
  const reached = npm([
    'view',
    `pnpm@${pnpmVersion}`,
    'version',
    '--fetch-retries=0',
    '--fetch-timeout=10000',
    '--loglevel=error',
  ])
  if (reached.status !== 0) {
    const code = /npm (?:error|ERR!) code (\S+)/.exec(reached.stderr)?.[1] ?? 'no answer'
    fail(
      `pnpm@${pnpmVersion}, which installs the dependencies, cannot be fetched from ${registry} (${code}).\n` +
        'setup: Is this machine online? Another registry is set with `npm config set registry URL`, a proxy with HTTPS_PROXY.',
    )
  }
  // Results may be piped on from the standard output, so progress goes where errors go.
  const status = pnpm('--prefer-offline', ['ignore', 2, 2])
  if (status !== 0) fail(`the dependencies could not be installed from ${registry}; pnpm says why above`)
}

/** @returns the exit code of `pnpm install`; a negative number or null if it did not run to its end */
function pnpm(cacheMode, stdio) {
  const words = ['exec', '--yes', cacheMode, '--', `pnpm@${pnpmVersion}`, 'install', '--frozen-lockfile', cacheMode]
  return spawnSync('npm', words, { cwd: repository, stdio }).status
}

function npm(words) {
  return spawnSync('npm', words, { cwd: repository, encoding: 'utf8' })
}

/** Files of root among those of the owner would stop every later installation. */
function refuseSudo() {
  const asRoot = process.getuid?.() === 0 && (process.env.SUDO_UID ?? process.env.DOAS_USER) !== undefined
  if (!asRoot || statSync(repository).uid === 0) return
  fail(
    'run `npm run setup` once without sudo first, or node_modules would belong to root.\n' +
      'setup: To listen on a port under 1024 without root: sudo sysctl net.ipv4.ip_unprivileged_port_start=443',
  )
}

/** Without the credentials that there may be in it. npm does not tell such a URL, but passes it on to scripts. */
function configuredRegistry() {
  const url = process.env.npm_config_registry || npm(['config', 'get', 'registry']).stdout.trim()
  return url.replace(/\/\/[^/@]*@/, '//') || 'the registry that npm is configured for'
}

function say(line) {
  process.stderr.write(`setup: ${line}\n`)
}

function fail(why) {
  say(why)
  process.exit(1)
}
