import { version } from '@ipfleet/settings/version.ts'
import { benchAll } from './all-benches.ts'
import { benchArguments } from './bench-arguments.ts'
import { benches } from './benches.ts'

const help = `Measures a lookup replica, the edge and the egress next to their peers, on loopback only.

  npm run bench -- all        all of the following, each with its own defaults or the options given, and README's table
  npm run bench -- hit        CPU time per answer from memory, next to nginx proxy_cache if it is installed, and from Redis
  npm run bench -- miss       CPU time and added wait per cold miss, next to nginx if it is installed, and waits for Redis
  npm run bench -- zipf       wall time of Zipf traffic to a fresh fleet of four replicas, next to another build
  npm run bench -- rss        memory after the start, with many entries, and with many idle connections
  npm run bench -- offline    which share of addresses the embedded database knows, and its memory; fetches a second source
  npm run bench -- commands   Redis commands per answer from Redis and per cold miss
  npm run bench -- fleet      fleets of 10, 30 and 100 replicas in one process, on a Redis Cluster of three masters
  npm run bench -- batch      items per second of batches, from Redis and from upstream
  npm run bench -- bulk       lines per second of a long list through command, edge and bulk service, and memory of each
  npm run bench -- edge       CPU time per proxied GET, next to http-proxy-3, and HAProxy and nginx if installed
  npm run bench -- edge-idle  memory of the edge with many open connections
  npm run bench -- share      what another client of edge, lookup or bulk meets while one floods it, in each of several ways
  npm run bench -- edge-hash  answers from memory with the edge balancing by path, and in turn
  npm run bench -- egress     tunnels per second, memory of an idle tunnel, and throughput of one, next to proxy-chain,
                              and Squid if it is installed

  --json               the numbers instead of a table
  --help, --version    this text; the version

hit, which is loaded by wrk if it is installed:
  --rounds N           default 5; the servers take turns
  --seconds N          of a round; default 4
  --connections N      default 64
  --entries N          different addresses asked for; default 1000
  --node-flag FLAG     for the replica, such as --node-flag=--max-semi-space-size=32; may be repeated
  --nginx-buffer SIZE  lets nginx collect its access log, such as 4k; default: a write per line, as nginx does

miss, with the options of hit but --entries and:
  --connections N      default 12
  --latency-ms N       that upstream takes over an answer; default 20

zipf:
  --rounds N           default 5; the builds take turns
  --requests N         default 10000
  --clients N          default 64
  --latency-ms N       as above
  --against FOLDER     another build, such as a git worktree of an older commit in which 'npm run setup' has run; default: none

rss:
  --entries N          default 10000
  --connections N      open and idle, after one answer each; default 10000, which takes 'ulimit -n' 10200
  --node-flag FLAG     as above

offline:
  --addresses N        of each kind; default 5000

batch:
  --batches N          default 100
  --items N            of one batch; default 1000
  --clients N          batches at the same time; default 4

bulk:
  --lines N            default 1000000
  --distinct N         different addresses among them; default 40%
  --replicas N         default 2
  --latency-ms N       that upstream takes over an answer; default 20
  --live N             look-ups a second through the edge, before the job and beside it; default: none

fleet:
  --replicas N         of the largest one; default 100
  --distinct N         different addresses, each asked of all replicas at once; default 200
  --latency-ms N       that upstream takes over an answer; default 20

commands:
  --requests N         of each kind; default 100

edge, with the options of hit (--node-flag is for the edge) and:
  --body-bytes N       of an answer; default 300
  --workers N          processes of the edge and of nginx, threads of HAProxy; default 1
  --with-limit         has the edge count its clients against a limit that they do not reach, in Redis
  --haproxy-log        has HAProxy write an access log too, as the edge and nginx do

edge-idle:
  --connections N      open and idle, after one answer each; default 10000
  --workers N          default 1; the memory of all is added up
  --node-flag FLAG     for the edge

edge-hash:
  --requests N         that are counted, after as many that are not; default 20000
  --addresses N        different ones that are asked for, by a Zipf distribution; default 10000
  --entries N          in the memory of each of three replicas; default 1000

share:
  --rounds N           with and without the flood, in turn; default 5
  --seconds N          of one measurement; default 4
  --flood NAME         only this one, such as --flood='unfinished lists'; may be repeated
  --node-flag FLAG     for the servers

egress, whose proxies take turns:
  --rounds N           default 5
  --seconds N          of a round; default 2. Each tunnel leaves ports behind that the system keeps for a minute
  --connections N      tunnels at the same time, of those that are opened and closed; default 64
  --tunnels N          that are idle; default 5000, which takes 'ulimit -n' 10200
  --node-flag FLAG     for the egress
`

/** Runs what the command line asks for. Throws a RangeError or a TypeError for what it does not understand. */
async function main(): Promise<void> {
  const words = benchArguments(process.argv.slice(2))
  const { name } = words
  if (words.version) {
    process.stdout.write(`ipfleet-bench ${version}\n`)
    return
  }
  if (words.help || name === undefined) {
    process.stdout.write(help)
    return
  }
  const all = name === 'all' ? benchAll : undefined
  const bench = Object.hasOwn(benches, name) ? benches[name] : all
  if (bench === undefined) throw new RangeError(`There is no benchmark '${name}'; --help lists them`)
  const { report, table } = await bench(words)
  process.stdout.write(words.json ? `${JSON.stringify(report, null, 2)}\n` : table)
}

try {
  await main()
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`)
  process.exitCode = error instanceof RangeError || error instanceof TypeError ? 2 : 1
}
