import type { UpstreamRequest } from './upstream-request.ts'

/**
 * What a product costs and which keys may ask it. `plan`: every plan has it, paid from the monthly quota; `free`: costs
 * nothing; `module`: some plans lack it; `tool`: has a limit of its own, apart from the quota; `other`: nothing is known.
 */
export type ProductKind = (typeof productKinds)[number]
export const productKinds = ['plan', 'free', 'module', 'tool', 'other'] as const

/** What a request is of. Verdicts about keys, and breakers, are kept for each product by itself. */
export interface Product {
  /** Of a closed set: it is in metrics, and in Redis. A batch is `batch/` and the product of its items. */
  readonly name: string
  readonly kind: ProductKind
  /** The items' product, of a batch. */
  readonly batchOf?: string
}

/** One row of a provider's table of products. */
export interface ProductRow {
  readonly name: string
  readonly kind: ProductKind
  /** Absent: on either host. */
  readonly surface?: UpstreamRequest['surface']
  /** Absent: with either. */
  readonly method?: UpstreamRequest['method']
  readonly path: RegExp
}

const otherProduct: Product = { name: 'other', kind: 'other' }

/** The product of a request: the first row that recognises it. */
export function productIn(rows: readonly ProductRow[], { method, surface, path, batchOf }: UpstreamRequest): Product {
  if (batchOf !== undefined) return batchProduct(rows, batchOf)
  const [plainPath = ''] = path.split('?', 1)
  const row = rows.find(
    (one) => (one.method ?? method) === method && (one.surface ?? surface) === surface && one.path.test(plainPath),
  )
  return row ? { name: row.name, kind: row.kind } : otherProduct
}

function batchProduct(rows: readonly ProductRow[], batchOf: string): Product {
  const { kind } = rows.find(({ name }) => name === batchOf) ?? otherProduct
  return { name: `batch/${batchOf}`, kind, batchOf }
}
