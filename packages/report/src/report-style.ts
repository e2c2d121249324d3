/** Of the report's page: light and dark by the reader's choice, black on white on paper. */
export const reportStyle = `
:root { color-scheme: light dark; --paper: #fff; --ink: #1c2430; --dim: #5b6675; --line: #e3e7ec; --land: #e9ecf0; --edge: #fff;
  --s1: #c6dbf2; --s2: #94bfe6; --s3: #5d9cd6; --s4: #2b74b8; --s5: #0d4a82; --bar: #2b74b8 }
@media (prefers-color-scheme: dark) { :root { --paper: #12161c; --ink: #e4e8ee; --dim: #9aa6b5; --line: #2a313b; --land: #262d37; --edge: #12161c;
  --s1: #23415f; --s2: #2c5c8c; --s3: #3a7cba; --s4: #63a3dd; --s5: #a9d2f7; --bar: #63a3dd } }
@media print { :root { color-scheme: light; --paper: #fff; --ink: #000; --dim: #444; --line: #ccc; --land: #eee; --edge: #fff;
  --s1: #c6dbf2; --s2: #94bfe6; --s3: #5d9cd6; --s4: #2b74b8; --s5: #0d4a82; --bar: #2b74b8 }
  main { max-width: none; padding: 0 } section, svg.map { break-inside: avoid } * { print-color-adjust: exact } }
* { box-sizing: border-box }
body { margin: 0; background: var(--paper); color: var(--ink); font: 15px/1.45 system-ui, sans-serif }
main { max-width: 62rem; margin: 0 auto; padding: 1.5rem 1rem 3rem }
h1 { font-size: 1.6rem; margin: 0 } h2 { font-size: 1.05rem; margin: 2rem 0 .5rem }
p { margin: .25rem 0; color: var(--dim) }
dl { display: grid; grid-template-columns: repeat(auto-fit, minmax(8rem, 1fr)); gap: .75rem; margin: 1.25rem 0 }
dl div { border-top: 2px solid var(--line); padding-top: .4rem } dt { color: var(--dim) } dd { margin: 0; font-size: 1.4rem; font-variant-numeric: tabular-nums }
svg.map { display: block; width: 100%; height: auto; margin: 1rem 0 } svg.map path { fill: var(--land); stroke: var(--edge); stroke-width: .5 } svg.map circle { stroke: var(--edge) }
svg.map .s1 { fill: var(--s1) } svg.map .s2 { fill: var(--s2) } svg.map .s3 { fill: var(--s3) } svg.map .s4 { fill: var(--s4) } svg.map .s5 { fill: var(--s5) }
.tables { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 26rem), 1fr)); gap: 0 2.5rem }
table { width: 100%; border-collapse: collapse; table-layout: fixed }
th { text-align: left; font-weight: 600; color: var(--dim) } th, td { padding: .2rem .5rem .2rem 0; border-bottom: 1px solid var(--line); overflow-wrap: anywhere; vertical-align: middle }
.count, .share { text-align: right; font-variant-numeric: tabular-nums } .name { width: 48% } .bar { width: 20% } .share { width: 15% }
svg.bar { display: block; width: 100%; height: .6rem } svg.bar rect { fill: var(--bar) }
`
