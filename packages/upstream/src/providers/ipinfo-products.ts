import type { ProductRow } from '../product.ts'

const address = String.raw`[\da-f]*[.:][\da-f.:]*`
const textFields = 'ip|hostname|city|region|country|loc|postal|timezone|org'
const core = new RegExp(`^/(?:${address})?(?:/?(?:json|geo|${textFields}))?$`, 'i')
const module = (name: string): RegExp => new RegExp(`^/(?:${address}/)?${name}$`, 'i')

/** What IPinfo offers, and how a request for it is recognised. The names are those of `products=` in KEYS_FILE. */
export const ipinfoProducts: readonly ProductRow[] = [
  // The first that fits counts, and this is asked most. It shares no path with the others.
  { name: 'core', kind: 'plan', surface: 'legacy', method: 'GET', path: core },
  { name: 'account', kind: 'free', surface: 'legacy', method: 'GET', path: /^\/me$/ },
  { name: 'lite', kind: 'free', surface: 'api', path: /^\/(lite\/|batch\/lite$)/ },
  // The same path answers with more for a richer plan; what only that has is asked as `plus`.
  { name: 'plus', kind: 'module', surface: 'api', path: /^\/(plus\/|lookup\/[^/]+\/(anonymous|mobile)(\/|$))/ },
  { name: 'lookup', kind: 'module', surface: 'api', path: /^\/lookup\// },
  { name: 'max', kind: 'module', surface: 'api', path: /^\/max\// },
  { name: 'resproxy', kind: 'module', path: /^\/resproxy\/|^\/[^/]+\/resproxy$/ },
  { name: 'places', kind: 'module', path: /^\/places(\/|$)/ },
  { name: 'domains', kind: 'module', path: /^\/domains\/|^\/[^/]+\/domains$/ },
  { name: 'ranges', kind: 'module', path: /^\/ranges\// },
  { name: 'whois', kind: 'module', path: /^\/whois\// },
  { name: 'asn', kind: 'module', path: /^\/as\d+(\/json)?$/i },
  { name: 'ip_asn', kind: 'module', surface: 'legacy', path: module('asn') },
  { name: 'company', kind: 'module', surface: 'legacy', path: module('company') },
  { name: 'carrier', kind: 'module', surface: 'legacy', path: module('carrier') },
  { name: 'abuse', kind: 'module', surface: 'legacy', path: module('abuse') },
  { name: 'privacy', kind: 'module', surface: 'legacy', path: module('privacy') },
  { name: 'privacy_extended', kind: 'module', surface: 'legacy', path: module('privacy_extended') },
  { name: 'map', kind: 'tool', path: /^\/(tools\/)?map(\/|$)/ },
  { name: 'summarize', kind: 'tool', path: /^\/(tools\/)?summarize(-ips)?(\/|$)/ },
  { name: 'tool', kind: 'tool', path: /^\/tools(\/|$)/ },
  { name: 'download', kind: 'tool', path: /^\/data\// },
]
