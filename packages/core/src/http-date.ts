const day = '(?<day>\\d\\d?)'
const month = '(?<month>Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)'
const time = '(?<hour>\\d\\d):(?<minute>\\d\\d):(?<second>\\d\\d)'
/** RFC 9110 §5.6.7: the preferred form, that of RFC 850, and that of `asctime`, which is of GMT too though it says no zone. */
const forms = [
  `[A-Z][a-z]{2}, ${day} ${month} (?<year>\\d{4}) ${time} GMT`,
  `[A-Z][a-z]{5,8}, ${day}-${month}-(?<year>\\d\\d) ${time} GMT`,
  `[A-Z][a-z]{2} ${month}  ?${day} ${time} (?<year>\\d{4})`,
].map((form) => new RegExp(`^${form}$`))
const months = 'JanFebMarAprMayJunJulAugSepOctNovDec'

/**
 * A date of a field, in milliseconds since 1970; NaN for what is none. `Date.parse` takes much else, and a date without a
 * zone for one of the machine's.
 * @param nowMs of the wall clock: a year of two digits that were more than 50 years ahead is of the century before
 */
export function httpDateMs(text: string, nowMs: number): number {
  for (const form of forms) {
    const parts = form.exec(text)?.groups
    if (parts) return momentOf(parts, nowMs)
  }
  return NaN
}

function momentOf(parts: Readonly<Record<string, string>>, nowMs: number): number {
  const number = (name: string): number => Number(parts[name])
  const monthIndex = months.indexOf(parts['month'] ?? '') / 3
  const [hour, minute, second] = [number('hour'), number('minute'), number('second')]
  const midnightMs = Date.UTC(yearOf(parts['year'] ?? '', nowMs), monthIndex, number('day'))
  // A second of 60 is a leap second, which is the first of the next minute to `Date`.
  const isMoment = new Date(midnightMs).getUTCMonth() === monthIndex && hour < 24 && minute < 60 && second <= 60
  return isMoment && number('day') > 0 ? midnightMs + ((hour * 60 + minute) * 60 + second) * 1000 : NaN
}

function yearOf(digits: string, nowMs: number): number {
  if (digits.length === 4) return Number(digits)
  const thisYear = new Date(nowMs).getUTCFullYear()
  const year = thisYear - (thisYear % 100) + Number(digits)
  return year > thisYear + 50 ? year - 100 : year
}
