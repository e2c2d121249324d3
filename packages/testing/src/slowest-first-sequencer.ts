import jestSequencer from '@jest/test-sequencer'

// Types of @jest/test-sequencer 30.5.2 are those of its CommonJS module, where the class is one level further down.
const TestSequencer = jestSequencer as unknown as typeof jestSequencer.default

/** Files that take minutes although they are short. In the rest of `test/`, a long file is a slow one. */
const slowest = ['/compose.test.ts', '/readme-commands.test.ts']

/**
 * Begins with the slowest files and ends with the unit tests, so that all workers end at about the same time. jest by
 * itself goes by the durations of earlier runs, of which a fresh clone has none, and then by size.
 */
class SlowestFirstSequencer extends TestSequencer {
  override async sort(tests: Parameters<typeof TestSequencer.prototype.sort>[0]): Promise<typeof tests> {
    // oxlint-disable-next-line unicorn/no-array-sort -- no array's, but the sequencer's
    const sorted = await super.sort(tests)
    return sorted.toSorted((a, b) => rank(a.path) - rank(b.path))
  }
}

/** Of a test file in the order of the run, from 0. */
export function rank(path: string): number {
  const known = slowest.findIndex((ending) => path.endsWith(ending))
  if (known !== -1) return known
  return /\/(?:services|packages)\/[^/]+\/test\//.test(path) ? slowest.length : slowest.length + 1
}

// oxlint-disable-next-line import/no-default-export -- jest 30 constructs a sequencer from its default export
export default SlowestFirstSequencer
