/** What was refused on a connection before it was a request, so that no request and no answer can tell of it. */
export interface ConnectionRefusal {
  /** Made for it, and told to the client. */
  readonly id: string
  readonly status: number
  readonly code: string
  /** The address of the other end. */
  readonly client: string
}
