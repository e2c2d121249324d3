import { markup, Markup } from '@ipfleet/report/markup.ts'

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
    const articles = own.map((one) => operationHtml(one, components))
    return markup`<section><h2 id="${name.toLowerCase()}">${name}</h2>${prose(text)}${articles}</section>`
  })
  const schemas = Object.entries(components.schemas).map(([name, schema]) => schemaHtml(name, schema))
  const links = [...tags.map(({ name }) => name), 'Schemas'].map(
    (name) => markup`<li><a href="#${name.toLowerCase()}">${name}</a></li>`,
  )
  return markup`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <title>${info.title}: endpoints</title>
        <link rel="icon" href="/console/icon.svg" type="image/svg+xml" />
        <link rel="stylesheet" href="/console/reference.css" />
      </head>
      <body>
        <header>
          <h1>${info.title}: endpoints</h1>
          ${prose(info.description)}
          <p><a href="/console/openapi.yaml">OpenAPI 3.1</a> · <a href="/console">Console</a></p>
        </header>
        <nav aria-label="Sections"><ul>${links}</ul></nav>
        <main>
          ${sections}
          <section>
            <h2 id="schemas">Schemas</h2>
            ${schemas}
          </section>
        </main>
      </body>
    </html>`.text
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
): Markup {
  const { operationId, summary, description = '', requestBody } = operation
  const answers = Object.entries(operation.responses).map(([status, answer]) => {
    const { description: text = '', content } = resolved(answer, responses)
    return [code(status), prose(text), contentHtml(content)]
  })
  const given = parameters.map((one) => [
    code(one.name ?? ''),
    markup`${one.in ?? ''}${one.required ? ', required' : ''}`,
    typeHtml(one.schema),
    prose(one.description ?? ''),
  ])
  const body = requestBody && markup`${contentHtml(requestBody.content)}${prose(requestBody.description ?? '')}`
  return markup`<article id="${operationId}">
    <h3><code class="${method}">${method.toUpperCase()}</code> ${code(path)}</h3>
    ${prose(`${summary}.`)}${prose(description)}
    ${given.length > 0 ? table(['Parameter', 'In', 'Type', 'Meaning'], given) : ''}
    ${body ? table(['Body'], [[body]]) : ''}
    ${table(['Status', 'Meaning', 'Body'], answers)}
  </article>`
}

function contentHtml(content: Content = {}): Markup {
  const types = Object.entries(content).map(
    ([type, { schema }]) => markup`${code(type)}${type === 'application/json' ? markup` ${typeHtml(schema)}` : ''}`,
  )
  return joined(types, markup`<br />`)
}

function schemaHtml(name: string, schema: Schema): Markup {
  const { properties, required = [], description = '' } = schema
  const rows = Object.entries(properties ?? {}).map(([member, value]) => [
    code(member),
    markup`${typeHtml(value)}${required.includes(member) ? '' : ', may be absent'}`,
    prose(value.description ?? ''),
  ])
  const shape = properties ? table(['Member', 'Type', 'Meaning'], rows) : markup`<p>${typeHtml(schema)}</p>`
  return markup`<article><h3 id="schema-${name}">${name}</h3>${prose(description)}${shape}</article>`
}

function typeHtml(schema: Schema = {}): Markup {
  const { $ref, type = 'any', format, items, oneOf, properties } = schema
  if ($ref !== undefined) return markup`<a href="#schema-${nameIn($ref)}">${nameIn($ref)}</a>`
  if (oneOf) return joined(oneOf.map(typeHtml), markup` or `)
  if (schema.enum) return joined(schema.enum.map(String).map(code), markup` | `)
  if (items) return markup`array of ${typeHtml(items)}`
  if (properties) {
    const members = Object.entries(properties).map(([name, value]) => markup`${code(name)}: ${typeHtml(value)}`)
    return markup`{ ${joined(members, markup`, `)} }`
  }
  return markup`${format ?? type}`
}

function table(heads: readonly string[], rows: readonly (readonly Markup[])[]): Markup {
  const head = heads.map((text) => markup`<th scope="col">${text}</th>`)
  const body = rows.map((cells) => markup`<tr>${cells.map((cell) => markup`<td>${cell}</td>`)}</tr>`)
  return markup`<table><thead><tr>${head}</tr></thead><tbody>${body}</tbody></table>`
}

function resolved<T extends { readonly $ref?: string }>(one: T, named: Readonly<Record<string, T>>): T {
  return (one.$ref === undefined ? undefined : named[nameIn(one.$ref)]) ?? one
}

const nameIn = (reference: string): string => reference.slice(reference.lastIndexOf('/') + 1)
const code = (text: string): Markup => markup`<code>${text}</code>`

function joined(parts: readonly Markup[], between: Markup): Markup {
  return new Markup(parts.map(({ text }) => text).join(between.text))
}

/** Paragraphs; of CommonMark only code spans. */
function prose(text: string): Markup {
  const paragraphs = text.trim() === '' ? [] : text.trim().split(/\n\n+/)
  return markup`${paragraphs.map((one) => {
    const parts = one.split('`').map((part, at) => (at % 2 === 0 ? markup`${part}` : code(part)))
    return markup`<p>${parts}</p>`
  })}`
}
