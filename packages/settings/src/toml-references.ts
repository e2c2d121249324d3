import type { Environment } from './sources.ts'

export type Resolved =
  /** `isReference`: the whole text is one reference. */
  | { readonly kind: 'text'; readonly text: string; readonly isReference: boolean }
  | { readonly kind: 'unresolved'; readonly reason: string }

/** `$${` comes first, so that it is never read as `$` and a reference. */
const special = /\$\$\{|\$\{([A-Za-z_]\w*)\}|\$\{/g

/**
 * Text with each `${NAME}` replaced by that variable of the environment, and `$${` by `${`. A variable that is not set,
 * or empty, which counts as not set, has no replacement; what looks like a reference and is none has neither.
 */
export function resolveReferences(written: string, env: Environment): Resolved {
  const found = [...written.matchAll(special)]
  if (found.some(([whole]) => whole === '${')) {
    return {
      kind: 'unresolved',
      reason: '${ begins no reference to the environment; allowed: ${NAME}, and $${ for ${ itself',
    }
  }
  const names = found.map(([, name]) => name).filter((name) => name !== undefined)
  const unset = [...new Set(names)].filter((name) => valueOf(name, env) === '')
  if (unset.length > 0) {
    return {
      kind: 'unresolved',
      reason: `${unset.join(' and ')} ${unset.length > 1 ? 'are' : 'is'} not set in the environment`,
    }
  }
  const text = written.replaceAll(special, (_, name: string | undefined) =>
    name === undefined ? '${' : valueOf(name, env),
  )
  return { kind: 'text', text, isReference: names.length === 1 && found[0]?.[0] === written }
}

function valueOf(name: string, env: Environment): string {
  return (Object.hasOwn(env, name) ? env[name] : undefined)?.trim() ?? ''
}
