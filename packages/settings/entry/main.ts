// What `services/*/src/main.ts` are links to. It says which Node is needed where an older one would print a stack about
// the extension .ts: in a package without a type, Node 20 runs a .ts file as CommonJS. So this may have neither types
// nor imports. Node leaves the link's own path in the arguments; beside it is what starts the service.
const oldestNode = 26
const entry = process.argv[1] ?? ''

if (Number.parseInt(process.versions.node, 10) < oldestNode) {
  process.stderr.write(
    `This needs Node ${oldestNode} or newer, and is run by ${process.version}. ` +
      '`npm run setup` brings it, for `npm start`, `npm run edge`, `npm run egress` and `npm run jobs`.\n',
  )
  process.exitCode = 1
} else {
  const path = encodeURI(entry.replace(/main\.ts$/, 'start.ts'))
  void import(`file://${path.replaceAll('#', '%23').replaceAll('?', '%3F')}`)
}
