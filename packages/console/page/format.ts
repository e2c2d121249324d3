/** Numbers and times as people read them, in English, as all of the page is. */

const whole = new Intl.NumberFormat('en')
const compact = new Intl.NumberFormat('en', { notation: 'compact', maximumFractionDigits: 1 })
const clock = new Intl.DateTimeFormat('en-GB', { hour: '2-digit', minute: '2-digit' })
const clockSeconds = new Intl.DateTimeFormat('en-GB', { hour: '2-digit', minute: '2-digit', second: '2-digit' })
const day = new Intl.DateTimeFormat('en-GB', { day: 'numeric', month: 'short' })
const dayAndClock = new Intl.DateTimeFormat('en-GB', {
  day: 'numeric',
  month: 'short',
  hour: '2-digit',
  minute: '2-digit',
})
const regions = new Intl.DisplayNames('en', { type: 'region', fallback: 'code' })

export const count = (value: number): string => whole.format(value)

/** `12.3K` */
export const shortCount = (value: number): string => (value < 10_000 ? whole.format(value) : compact.format(value))

/** `98.7%`; what is not all is never said to be 100%, and what is something never 0%. */
export function percent(part: number, all: number): string {
  if (all <= 0) return '0%'
  const share = Math.round((part / all) * 1000) / 10
  if (share === 100 && part < all) return '>99.9%'
  if (share === 0 && part > 0) return '<0.1%'
  return `${share}%`
}

export function money(value: number, currency: string): string {
  try {
    return new Intl.NumberFormat('en', { style: 'currency', currency }).format(value)
  } catch {
    return `${whole.format(value)} ${currency}`
  }
}

/** `4 min 12 s`, the two largest units. */
export function duration(seconds: number): string {
  const left = Math.max(0, Math.round(seconds))
  const parts = [
    [Math.floor(left / 86_400), 'd'],
    [Math.floor(left / 3600) % 24, 'h'],
    [Math.floor(left / 60) % 60, 'min'],
    [left % 60, 's'],
  ] as const
  const first = parts.findIndex(([value]) => value > 0)
  if (first === -1) return '0 s'
  const largest = parts.slice(first, first + 2).filter(([value]) => value > 0)
  return largest.map(([value, unit]) => `${value} ${unit}`).join(' ')
}

export const atMinute = (iso: string): string => clock.format(new Date(iso))

export const atSecond = (when: Date): string => clockSeconds.format(when)

export const onDay = (iso: string): string => day.format(new Date(iso))

/** A time of today without its day. */
export function atTime(iso: string): string {
  const when = new Date(iso)
  return when.toDateString() === new Date().toDateString() ? clock.format(when) : dayAndClock.format(when)
}

/** The name of a country by its ISO 3166-1 alpha-2 code; what is none stays as it is. */
export function countryName(code: string): string {
  return /^[A-Z]{2}$/.test(code) ? (regions.of(code) ?? code) : code
}
