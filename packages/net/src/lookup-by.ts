import type { LookupFunction } from 'node:net'
import type { NameLookups } from './name-lookups.ts'

/** For `connect` of Node: has it look its host up by `names`. What has no address fails with the code of the look-up. */
export function lookupBy(names: NameLookups): LookupFunction {
  return async (name, { all, family }, callback) => {
    const found = await names.addressesOf(name)
    const addresses = found.kind === 'addresses' ? found.addresses : []
    const fitting = family ? addresses.filter((each) => each.family === family) : [...addresses]
    const [first] = fitting
    const code = found.kind === 'unresolved' ? found.code : 'ENODATA'
    if (first === undefined) callback(Object.assign(new Error('the name has no address'), { code }), [])
    else if (all) callback(null, fitting)
    else callback(null, first.address, first.family)
  }
}
