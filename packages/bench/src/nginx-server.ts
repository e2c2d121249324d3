import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { findOnPath } from './find-on-path.ts'
import type { ServerCommand } from './measured-server.ts'

/** What is ours to fill in: `http` goes into the block of that name. */
export interface NginxSite {
  readonly name: string
  readonly workers?: number
  /** Given its port and a folder of its own. */
  readonly http: (port: number, folder: string) => string
}

/** nginx in the foreground, or undefined where it is not installed. */
export function nginxServer({ name, workers = 1, http }: NginxSite): ServerCommand | undefined {
  const command = findOnPath('nginx')
  if (command === undefined) return undefined
  return {
    name,
    command,
    args: (port, folder) => {
      mkdirSync(join(folder, 'temp'))
      writeFileSync(join(folder, 'nginx.conf'), configuration(folder, workers, http(port, folder)))
      return ['-p', folder, '-c', join(folder, 'nginx.conf')]
    },
  }
}

/**
 * An access log with the fields of a replica's and `more`. nginx writes each line at once unless it gets a buffer,
 * such as `4k`.
 */
export function jsonLog(folder: string, more: string, buffer: string | undefined): string {
  return `
  log_format json escape=json '{"level":"info","time":"$time_iso8601","method":"$request_method","path":"$uri",'
    '"status":$status,${more},"latency_s":$request_time,"msg":"request"}';
  access_log ${folder}/access.log json${buffer === undefined ? '' : ` buffer=${buffer} flush=1s`};`
}

/** Connections stay open for as long as a replica's do. */
function configuration(folder: string, workers: number, http: string): string {
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
  // Started by root, nginx would hand its worker to a user who may not enter this folder.
  const user = process.getuid?.() === 0 ? 'user root;' : ''
  return `
${user}
daemon off;
worker_processes ${workers};
pid ${folder}/nginx.pid;
error_log stderr warn;
events { worker_connections 4096; }
http {
  ${temporary.map((kind) => `${kind}_temp_path ${folder}/temp/${kind};`).join('\n  ')}
  keepalive_timeout 75s;
  keepalive_requests 1000000000;
  tcp_nodelay on;
${http}
}
`
}
