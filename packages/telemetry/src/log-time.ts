let lastMs = -1
let lastText = ''

/**
 * The wall clock as `2026-05-02T15:43:50.358Z`. Lines of one millisecond share the text: building it costs about
 * as much as the rest of an access line.
 */
export function logTime(nowMs: number = Date.now()): string {
  if (nowMs !== lastMs) {
    lastMs = nowMs
    lastText = new Date(nowMs).toISOString()
  }
  return lastText
}
