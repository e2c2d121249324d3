/** Text that is markup: written here, or escaped. */
export class Markup {
  readonly text: string

  constructor(text: string) {
    this.text = text
  }
}

type Part = string | number | Markup | readonly Markup[]

const entities: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
}

/**
 * A template of which every value is escaped, for elements and quoted attributes alike. Control characters, which HTML
 * does not allow, become U+FFFD; so do those that reorder text, which would let a name stand in another column.
 */
export function markup(fixed: TemplateStringsArray, ...values: readonly Part[]): Markup {
  return new Markup(fixed.reduce((text, part, at) => text + markupOf(values[at - 1] ?? '') + part))
}

function markupOf(part: Part): string {
  if (part instanceof Markup) return part.text
  if (typeof part === 'object') return part.map(({ text }) => text).join('')
  return (
    String(part)
      // oxlint-disable-next-line no-control-regex -- these are meant
      .replaceAll(/[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/g, '\uFFFD')
      .replaceAll(/[&<>"']/g, (character) => entities[character] ?? '')
  )
}
