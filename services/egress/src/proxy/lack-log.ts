import type { Logger } from '@ipfleet/telemetry/logger.ts'

const everyMs = 60_000

const raises: Readonly<Record<string, string>> = {
  EMFILE: 'ulimit -n; LimitNOFILE= of systemd; --ulimit nofile= of Docker',
  ENFILE: 'sysctl fs.file-max',
}

/**
 * Makes the function that logs, at most once a minute, that this process or machine can open no more connections, and what
 * to raise for more. It is given the system's code.
 */
export function lackLog(logger: Logger): (code: string) => void {
  let toldMs = -Infinity
  return (code) => {
    const nowMs = performance.now()
    if (nowMs - toldMs < everyMs) return
    toldMs = nowMs
    logger.warn({ code, raise: raises[code] ?? 'memory' }, 'no more connections can be opened')
  }
}
