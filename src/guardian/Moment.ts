import * as DateTime from "effect/DateTime"
import * as Option from "effect/Option"

/** RFC 3339, the zone not optional: a time without one means another moment on each machine. */
const rfc3339 = /^(\d{4}-\d{2}-\d{2})[T ]\d{2}:\d{2}(?::\d{2}(?:\.\d{1,9})?)?(Z|[+-]\d{2}:?\d{2})$/i

const zoneless = /^\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}(:\d{2}(\.\d+)?)?)?$/

/** Of the text's own calendar day: JavaScript takes 30 February for 2 March. */
const isDay = (day: string): boolean => {
  const midnight = DateTime.make(`${day}T00:00:00Z`)
  return Option.isSome(midnight) && DateTime.formatIsoDateUtc(midnight.value) === day
}

/** Whether a text is a time but for its zone: the refusal can say so. */
export const lacksZone = (text: string): boolean => zoneless.test(text)

/** Seconds since 1970, the fraction cut off: what a signature covers. None where it is no time with a zone. */
export const readSeconds = (text: string): Option.Option<number> => {
  const found = rfc3339.exec(text)
  if (found?.[1] === undefined || !isDay(found[1])) return Option.none()
  return DateTime.make(text.replace(" ", "T")).pipe(
    Option.map((moment) => Math.floor(moment.epochMillis / 1_000)),
    Option.filter((seconds) => seconds > 0)
  )
}
