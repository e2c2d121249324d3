let lastSecond = NaN
let upToSecond = ''
let lastMs = NaN
let text = ''

/**
 * The wall clock as `2026-05-02T15:43:50.358Z`. What stands before the milliseconds is made once a second: to make the
 * whole costs about as much as the rest of an access line.
 */
export function logTime(nowMs: number = Date.now()): string {
  if (nowMs === lastMs) return text
  lastMs = nowMs
  const second = Math.floor(nowMs / 1000)
  if (second !== lastSecond) {
    lastSecond = second
    upToSecond = new Date(second * 1000).toISOString().slice(0, -'000Z'.length)
  }
  text = `${upToSecond}${String(nowMs - second * 1000).padStart(3, '0')}Z`
  return text
}
