import type { Span } from '@ipfleet/core/span.ts'
import type { TraceContext } from '@ipfleet/core/trace-context.ts'
import type { Backend } from '../backends/backend.ts'

/** The spans of the attempts of one request that are under way: one for each backend, which its own is a child of. */
export class AttemptSpans {
  readonly #request: Span
  readonly #method: string
  readonly #open = new Map<Backend, Span>()

  constructor(request: Span, method: string) {
    this.#request = request
    this.#method = method
  }

  /** @returns what the backend is told */
  begin(backend: Backend, retries: number): TraceContext {
    const span = this.#request.child(this.#method, 'client', {
      'http.request.method': this.#method,
      'server.address': backend.authority,
      'http.request.resend_count': retries || undefined,
    })
    this.#open.set(backend, span)
    return span.context
  }

  /** @param errorType of one that has failed */
  end(backend: Backend, errorType: string | undefined): void {
    this.#open.get(backend)?.end({ 'error.type': errorType })
    this.#open.delete(backend)
  }
}
