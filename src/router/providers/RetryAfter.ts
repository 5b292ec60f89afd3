import { memberOf } from "../../domain/Text.ts"

/** A longer wait is cut: a provider that asks for days may have meant another unit. */
const longestMillis = 3_600_000

const bounded = (millis: number): number | undefined =>
  Number.isFinite(millis) && millis >= 0 ? Math.min(Math.ceil(millis), longestMillis) : undefined

const decimal = /^\d{1,9}(\.\d{1,9})?$/

/** Google's errors have the time in a detail: `"retryDelay": "30s"`. */
const retryDelay = (body: unknown): number | undefined => {
  for (const error of Array.isArray(body) ? body : [body]) {
    const details = memberOf(memberOf(error, "error"), "details")
    for (const detail of Array.isArray(details) ? details : []) {
      const delay = /^(\d{1,9}(?:\.\d{1,9})?)s$/.exec(String(memberOf(detail, "retryDelay")))
      if (delay !== null) return bounded(Number(delay[1]) * 1_000)
    }
  }
  return undefined
}

/**
 * Reads how long a provider asks to be left alone, in milliseconds: `Retry-After` in seconds or as a date (RFC 9110, section 10.2.3),
 * OpenAI's `retry-after-ms`, Google's `retryDelay`. At most an hour.
 */
export const retryAfterMillis = (
  headers: Readonly<Record<string, string | undefined>>,
  now: number,
  body?: unknown
): number | undefined => {
  const millis = headers["retry-after-ms"]?.trim() ?? ""
  if (decimal.test(millis)) return bounded(Number(millis))
  const given = headers["retry-after"]?.trim() ?? ""
  if (decimal.test(given)) return bounded(Number(given) * 1_000)
  // A number alone would be read as a year.
  const date = /[a-z]/i.test(given) ? Date.parse(given) : Number.NaN
  return Number.isNaN(date) ? retryDelay(body) : bounded(Math.max(0, date - now))
}
