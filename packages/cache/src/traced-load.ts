import { currentSpan, inSpan } from '@ipfleet/core/span.ts'
import type { TraceContext } from '@ipfleet/core/trace-context.ts'
import type { Finding, LoadMany } from './finding.ts'
import type { Outcome } from './outcome.ts'

/** Has a load be a step of the trace, and what it brings say which step that was. */
export function tracedLoad(load: LoadMany): LoadMany {
  return (queries, settle, purpose) =>
    inSpan(
      { name: 'load', attributes: () => ({ 'ipfleet.items': queries.length, 'ipfleet.purpose': purpose }) },
      (span) => load(queries, span ? (outcomes) => settle(ledBy(span.context, outcomes)) : settle, purpose),
    )
}

function ledBy(leader: TraceContext, outcomes: ReadonlyMap<string, Outcome>): ReadonlyMap<string, Outcome> {
  return new Map(outcomes.entries().map(([query, outcome]) => [query, { ...outcome, leader }]))
}

/** Links the current span to the loads of other requests that it has waited for. */
export function linkToLeaders(findings: ReadonlyMap<string, Finding>): void {
  const span = currentSpan()
  if (span === undefined) return
  const leaders = new Map<string, TraceContext>()
  for (const { source, leader } of findings.values()) {
    if (source === 'collapsed' && leader) leaders.set(leader.spanId, leader)
  }
  for (const leader of leaders.values()) span.link(leader)
}
