/**
 * The safety net under every process and container that tests start: a small shell that sleeps on a pipe
 * from this process. When this process ends, however it ends (SIGKILL and jest's forced exit included, where
 * no `exit` listener runs), the pipe closes and the shell runs the commands that are still registered.
 */

import { spawn } from 'node:child_process'
import type { Writable } from 'node:stream'

/**
 * Lines are `+id command` and `-id`. The shell ignores the terminal's Ctrl-C, for it has work to do after it,
 * and starts its own session, so that a signal to the whole group does not end it first.
 */
const script = `
trap '' INT TERM HUP
todo=$(mktemp -d) || exit 1
while read -r entry command; do
  case $entry in
    +*) printf '%s\\n' "$command" >"$todo/\${entry#+}" ;;
    -*) rm -f "$todo/\${entry#-}" ;;
  esac
done
for file in "$todo"/*; do
  [ -f "$file" ] && sh "$file" >/dev/null 2>&1
done
rm -rf "$todo"
`

let guard: Writable | undefined
let nextId = 1
const registered = new Set<number>()

/** Has `command` (one line of shell) run if this process ends before the returned function is called. */
export function atDeathRun(command: string): () => void {
  const id = nextId++
  registered.add(id)
  guard ??= startGuard()
  guard.write(`+${id} ${command}\n`)
  return () => {
    if (!registered.delete(id)) return
    guard?.write(`-${id}\n`)
    if (registered.size > 0) return
    guard?.end() // nothing left to watch: no process stays behind
    guard = undefined
  }
}

function startGuard(): Writable {
  const child = spawn('sh', ['-c', script], { stdio: ['pipe', 'ignore', 'ignore'], detached: true, cwd: '/' })
  // A guard that cannot start or is killed takes the safety net with it, not the tests.
  child.on('error', () => undefined)
  child.stdin.on('error', () => undefined)
  child.unref()
  if ('unref' in child.stdin && typeof child.stdin.unref === 'function') child.stdin.unref()
  return child.stdin
}
