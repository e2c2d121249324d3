/** The reader of `openapi.yaml`: a page without a script. */

/** A schema, as far as it is shown. */
interface Schema {
  readonly $ref?: string
  readonly type?: string
  readonly format?: string
  readonly enum?: readonly unknown[]
  readonly description?: string
  readonly items?: Schema
  readonly oneOf?: readonly Schema[]
  readonly properties?: Readonly<Record<string, Schema>>
  readonly required?: readonly string[]
}

interface Parameter {
  readonly $ref?: string
  readonly name?: string
  readonly in?: string
  readonly required?: boolean
  readonly description?: string
  readonly schema?: Schema
}

type Content = Readonly<Record<string, { readonly schema?: Schema }>>

interface Answer {
  readonly $ref?: string
  readonly description?: string
  readonly content?: Content
}

interface Operation {
  readonly operationId: string
  readonly tags: readonly string[]
  readonly summary: string
  readonly description?: string
  readonly parameters?: readonly Parameter[]
  readonly requestBody?: { readonly description?: string; readonly content: Content }
  readonly responses: Readonly<Record<string, Answer>>
}

/** An OpenAPI 3.1 description, as far as it is shown. */
export interface Description {
  readonly info: { readonly title: string; readonly description: string }
  readonly tags: readonly { readonly name: string; readonly description: string }[]
  readonly paths: Readonly<Record<string, Readonly<Record<string, unknown>>>>
  readonly components: {
    readonly parameters: Readonly<Record<string, Parameter>>
    readonly responses: Readonly<Record<string, Answer>>
    readonly schemas: Readonly<Record<string, Schema>>
  }
}

const methods = ['get', 'post', 'delete']

/** @returns HTML */
export function referencePage(description: Description): string {
  const { info, tags, components } = description
  const operations = operationsOf(description)
  const sections = tags.map(({ name, description: text }) => {
    const own = operations.filter(({ operation }) => operation.tags.includes(name))
    return `<section><h2 id="${name.toLowerCase()}">${escaped(name)}</h2>${prose(text)}${own.map((one) => operationHtml(one, components)).join('')}</section>`
  })
  const schemas = Object.entries(components.schemas).map(([name, schema]) => schemaHtml(name, schema))
  const links = [...tags.map(({ name }) => name), 'Schemas'].map(
    (name) => `<li><a href="#${name.toLowerCase()}">${escaped(name)}</a></li>`,
  )
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escaped(info.title)}: endpoints</title><link rel="stylesheet" href="/console/reference.css"></head>
<body><header><h1>${escaped(info.title)}: endpoints</h1>${prose(info.description)}
<p><a href="/console/openapi.yaml">OpenAPI 3.1</a> · <a href="/console">Console</a></p></header>
<nav aria-label="Sections"><ul>${links.join('')}</ul></nav>
<main>${sections.join('')}<section><h2 id="schemas">Schemas</h2>${schemas.join('')}</section></main></body></html>
`
}

interface Placed {
  readonly method: string
  readonly path: string
  readonly operation: Operation
  readonly parameters: readonly Parameter[]
}

function operationsOf({ paths, components }: Description): Placed[] {
  return Object.entries(paths).flatMap(([path, item]) =>
    methods
      .filter((method) => method in item)
      .map((method) => {
        const operation = item[method] as Operation
        const shared = (item['parameters'] ?? []) as readonly Parameter[]
        const parameters = [...shared, ...(operation.parameters ?? [])].map((one) =>
          resolved(one, components.parameters),
        )
        return { method, path, operation, parameters }
      }),
  )
}

function operationHtml(
  { method, path, operation, parameters }: Placed,
  { responses }: Description['components'],
): string {
  const { operationId, summary, description = '', requestBody } = operation
  const answers = Object.entries(operation.responses).map(([status, answer]) => {
    const { description: text = '', content } = resolved(answer, responses)
    return [`<code>${status}</code>`, prose(text), contentHtml(content)]
  })
  const given = parameters.map((one) => [
    `<code>${escaped(one.name ?? '')}</code>`,
    `${one.in}${one.required ? ', required' : ''}`,
    typeHtml(one.schema),
    prose(one.description ?? ''),
  ])
  return `<article id="${operationId}"><h3><code class="${method}">${method.toUpperCase()}</code> <code>${escaped(path)}</code></h3>
${prose(`${summary}.`)}${prose(description)}
${given.length > 0 ? table(['Parameter', 'In', 'Type', 'Meaning'], given) : ''}
${requestBody ? table(['Body'], [[contentHtml(requestBody.content) + prose(requestBody.description ?? '')]]) : ''}
${table(['Status', 'Meaning', 'Body'], answers)}</article>`
}

function contentHtml(content: Content = {}): string {
  const types = Object.entries(content).map(
    ([type, { schema }]) => `<code>${escaped(type)}</code>${type === 'application/json' ? ` ${typeHtml(schema)}` : ''}`,
  )
  return types.join('<br>')
}

function schemaHtml(name: string, schema: Schema): string {
  const { properties, required = [], description = '' } = schema
  const rows = Object.entries(properties ?? {}).map(([member, value]) => [
    `<code>${escaped(member)}</code>`,
    `${typeHtml(value)}${required.includes(member) ? '' : ', may be absent'}`,
    prose(value.description ?? ''),
  ])
  const shape = properties ? table(['Member', 'Type', 'Meaning'], rows) : `<p>${typeHtml(schema)}</p>`
  return `<article><h3 id="schema-${name}">${escaped(name)}</h3>${prose(description)}${shape}</article>`
}

function typeHtml(schema: Schema = {}): string {
  const { $ref, type = 'any', format, items, oneOf, properties } = schema
  if ($ref !== undefined) {
    const name = escaped(nameIn($ref))
    return `<a href="#schema-${name}">${name}</a>`
  }
  if (oneOf) return oneOf.map((one) => typeHtml(one)).join(' or ')
  if (schema.enum) return schema.enum.map((value) => `<code>${escaped(String(value))}</code>`).join(' | ')
  if (items) return `array of ${typeHtml(items)}`
  if (properties) {
    const members = Object.entries(properties).map(
      ([name, value]) => `<code>${escaped(name)}</code>: ${typeHtml(value)}`,
    )
    return `{ ${members.join(', ')} }`
  }
  return escaped(format ?? type)
}

function table(heads: readonly string[], rows: readonly (readonly string[])[]): string {
  const head = heads.map((text) => `<th scope="col">${text}</th>`).join('')
  const body = rows.map((cells) => `<tr>${cells.map((cell) => `<td>${cell}</td>`).join('')}</tr>`).join('')
  return `<table><thead><tr>${head}</tr></thead><tbody>${body}</tbody></table>`
}

function resolved<T extends { readonly $ref?: string }>(one: T, named: Readonly<Record<string, T>>): T {
  return (one.$ref === undefined ? undefined : named[nameIn(one.$ref)]) ?? one
}

const nameIn = (reference: string): string => reference.slice(reference.lastIndexOf('/') + 1)

/** Paragraphs; of CommonMark only code spans. */
function prose(text: string): string {
  const paragraphs = text.trim().split(/\n\n+/)
  const shown = paragraphs.map((one) => escaped(one).replaceAll(/`([^`]+)`/g, '<code>$1</code>'))
  return text === '' ? '' : shown.map((one) => `<p>${one}</p>`).join('')
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;')
}
