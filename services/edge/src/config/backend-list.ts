import { type Kind, preset, required } from './config-key.ts'
import { listOf, textual, wholeNumber } from './config-kinds.ts'
import { faultAt, type Given, itemAt, read, refused } from './given.ts'
import { hostNameIn, portIn } from './host-name.ts'
import { readTable } from './read-table.ts'

export interface BackendConfig {
  readonly protocol: 'http:' | 'https:'
  /** A name or an address, without brackets. */
  readonly hostname: string
  readonly port: number
  /** From 1; a backend with 2 gets twice as much as one with 1. */
  readonly weight: number
}

const backendUrl = textual('"http://host:port" or "https://host:port", without user, path and query', (text) => {
  const [, scheme = '', authority = ''] = /^(https?):\/\/([^/]+)\/?$/i.exec(text) ?? []
  const [, host = '', port] = /^(.*?)(?::(\d+))?$/s.exec(authority) ?? []
  const protocol = scheme.toLowerCase() === 'https' ? 'https:' : 'http:'
  const hostname = hostNameIn(host)
  const number = port === undefined ? (protocol === 'https:' ? 443 : 80) : portIn(port)
  return hostname === undefined || !number ? undefined : ({ protocol, hostname, port: number } as const)
})

const weight = wholeNumber(1, 1000)

const backendKeys = {
  url: required(backendUrl, ''),
  weight: preset(weight, 1, ''),
}

const backend: Kind<BackendConfig> = {
  allowed: `"http://host:port", "https://host:port" or { url = "…", weight = 2 }; weight: ${weight.allowed}`,
  read: (given, directory) => {
    if (given.kind !== 'table') {
      const address = backendUrl.read(given, directory)
      return address.kind === 'value' ? read({ ...address.value, weight: 1 }) : refused(given, backend.allowed)
    }
    const reading = { faults: [], directory }
    const found = readTable(backendKeys, given, reading)
    if (!found.url || found.weight === undefined) return { kind: 'faults', faults: reading.faults }
    return reading.faults.length > 0
      ? { kind: 'faults', faults: reading.faults }
      : read({ ...found.url, weight: found.weight })
  },
}

const anyBackends = listOf(backend, { min: 1 })

/** The backends of a group, each once: `weight` is what gives one a larger share. */
export const backendList: Kind<readonly BackendConfig[]> = {
  allowed: anyBackends.allowed,
  read: (given, directory) => {
    const list = anyBackends.read(given, directory)
    if (list.kind === 'faults') return list
    const names = list.value.map(({ protocol, hostname, port }) => `${protocol} ${hostname} ${port}`)
    const faults = names.flatMap((name, index) => (names.indexOf(name) < index ? [repeated(itemAt(given, index))] : []))
    return faults.length > 0 ? { kind: 'faults', faults } : list
  },
}

function repeated(item: Given) {
  return faultAt(item, 'this backend is in the list already; weight gives one a larger share')
}
