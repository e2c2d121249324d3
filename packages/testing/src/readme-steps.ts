/** What somebody does who follows a README word for word, in its order. `line` is that of the block, from 1. */
export type ReadmeStep =
  /** Typed, and over when it ends. `shown` is what the README says that it prints. */
  | { readonly kind: 'run'; readonly line: number; readonly script: string; readonly shown: string | undefined }
  /** Typed in a terminal of its own, where it goes on once it has said `ready`. */
  | { readonly kind: 'serve'; readonly line: number; readonly script: string; readonly ready: string }
  /** Ctrl-C in each of these terminals. */
  | { readonly kind: 'stop'; readonly line: number }
  | { readonly kind: 'skip'; readonly line: number; readonly script: string; readonly reason: string }

interface Block {
  readonly kind: 'block'
  readonly line: number
  readonly language: string
  readonly text: string
}

interface Note {
  readonly kind: 'note'
  readonly line: number
  readonly text: string
}

/**
 * The `sh` blocks of a README. A `json` or `text` block right behind one is what it prints. A comment right before one
 * says what is particular about it: `<!-- runs on: TEXT -->` for what is left running in a terminal of its own, and is
 * ready when it prints TEXT, `<!-- not run: REASON -->`. `<!-- Ctrl-C -->` ends all that is left running.
 */
export function readmeSteps(markdown: string): readonly ReadmeStep[] {
  const parts = partsOf(markdown)
  return parts.flatMap((part, index): readonly ReadmeStep[] => {
    if (part === 'words') return []
    if (part.kind === 'note') return part.text === 'Ctrl-C' ? [{ kind: 'stop', line: part.line }] : []
    return part.language === 'sh' ? [stepOf(part, parts[index - 1], parts[index + 1])] : []
  })
}

type Part = Block | Note | 'words'

function stepOf({ line, text: script }: Block, before: Part | undefined, after: Part | undefined): ReadmeStep {
  const note = typeof before === 'object' && before.kind === 'note' ? before.text : ''
  const reason = afterWords(note, 'not run: ')
  if (reason !== undefined) return { kind: 'skip', line, script, reason }
  const ready = afterWords(note, 'runs on: ')
  if (ready !== undefined) return { kind: 'serve', line, script, ready }
  const isOutput = typeof after === 'object' && after.kind === 'block' && ['json', 'text'].includes(after.language)
  return { kind: 'run', line, script, shown: isOutput ? after.text : undefined }
}

function afterWords(text: string, words: string): string | undefined {
  return text.startsWith(words) ? text.slice(words.length) : undefined
}

/** Blocks, comments of one line, and between them whether there are words. Empty lines separate nothing. */
function partsOf(markdown: string): readonly Part[] {
  const parts: Part[] = []
  let open: { readonly line: number; readonly language: string; readonly lines: string[] } | undefined
  for (const [index, text] of markdown.split('\n').entries()) {
    const fence = /^```(\w*)/.exec(text)
    const note = /^<!-- (.+) -->$/.exec(text)?.[1]
    if (open !== undefined && fence !== null) {
      parts.push({ kind: 'block', line: open.line, language: open.language, text: open.lines.join('\n') })
      open = undefined
    } else if (open !== undefined) open.lines.push(text)
    else if (fence !== null) open = { line: index + 1, language: fence[1] ?? '', lines: [] }
    else if (note !== undefined) parts.push({ kind: 'note', line: index + 1, text: note })
    else if (text !== '' && parts.at(-1) !== 'words') parts.push('words')
  }
  return parts
}
