import jestSequencer from '@jest/test-sequencer'

// Types of @jest/test-sequencer 30.5.2 are those of its CommonJS module, where the class is one level further down.
const TestSequencer = jestSequencer as unknown as typeof jestSequencer.default

const compose = '/compose.test.ts'
/** It needs the default port, which the READMEs' commands have later. */
const onDefaultPort = '/cli/test/embedded.test.ts'
const readmes = '/readme-commands.test.ts'
/** How many files begin before the READMEs are followed: by then compose.test.ts has built the images. */
const filesBeforeReadmes = 30

/**
 * Begins with the slowest files and ends with the unit tests, so that all workers end at about the same time. jest by
 * itself goes by the durations of earlier runs, of which a fresh clone has none, and then by size.
 */
class SlowestFirstSequencer extends TestSequencer {
  override async sort(tests: Parameters<typeof TestSequencer.prototype.sort>[0]): Promise<typeof tests> {
    // oxlint-disable-next-line unicorn/no-array-sort -- no array's, but the sequencer's
    return slowestFirst(await super.sort(tests))
  }
}

/** @param files the longer ones first, which in `test/` are the slower ones */
export function slowestFirst<File extends { readonly path: string }>(files: readonly File[]): File[] {
  const late = files.filter(({ path }) => path.endsWith(readmes))
  const sorted = files.filter(({ path }) => !path.endsWith(readmes)).toSorted((a, b) => rank(a.path) - rank(b.path))
  return sorted.toSpliced(filesBeforeReadmes, 0, ...late)
}

function rank(path: string): number {
  if (path.endsWith(compose) || path.endsWith(onDefaultPort)) return 0
  return /\/(?:services|packages)\/[^/]+\/test\//.test(path) ? 1 : 2
}

// oxlint-disable-next-line import/no-default-export -- jest 30 constructs a sequencer from its default export
export default SlowestFirstSequencer
