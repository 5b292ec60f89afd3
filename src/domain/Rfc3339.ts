import * as DateTime from "effect/DateTime"
import * as Option from "effect/Option"

/** `date-time` of RFC 3339, section 5.6. Its "T" and "Z" may be in lower case; a time without a zone means another moment on each machine. */
const dateTime = /^(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:\.(\d+))?(?:Z|([+-])(\d\d):(\d\d))$/i

interface Rfc3339Time {
  /** Of the whole second, in milliseconds since the epoch. A leap second has that of the second after it, as in POSIX time. */
  readonly second: number
  /** Digits after the point. */
  readonly fraction: string
  readonly isLeap: boolean
}

const minute = 60_000
const day = 1_440 * minute

/** Milliseconds since the epoch at the start of a day; undefined where the calendar does not have it, such as 30 February. */
const startOfDay = (date: string): number | undefined => {
  const midnight = DateTime.make(`${date}T00:00:00Z`)
  return Option.isSome(midnight) && DateTime.formatIsoDateUtc(midnight.value) === date
    ? midnight.value.epochMillis
    : undefined
}

/** Leap seconds are the last ones of a month in UTC (ITU-R TF.460). Which months have one is announced half a year ahead. */
const mayBeLeapSecond = (next: number): boolean =>
  next % day === 0 && DateTime.unsafeMake(next).pipe(DateTime.getPartUtc("day")) === 1

const read = (text: string): Rfc3339Time | undefined => {
  const found = dateTime.exec(text)
  if (found === null) return undefined
  const [, year, month, date, hours, minutes, seconds, fraction = "", sign, zoneHours = "0", zoneMinutes = "0"] = found
  const midnight = startOfDay(`${year}-${month}-${date}`)
  const [hour, minuteOfHour, second, zoneHour, zoneMinute] = [hours, minutes, seconds, zoneHours, zoneMinutes].map(
    Number
  )
  if (midnight === undefined || hour === undefined || minuteOfHour === undefined || second === undefined)
    return undefined
  if (zoneHour === undefined || zoneMinute === undefined) return undefined
  if (hour > 23 || minuteOfHour > 59 || second > 60 || zoneHour > 23 || zoneMinute > 59) return undefined
  const offset = (zoneHour * 60 + zoneMinute) * (sign === "-" ? -1 : 1)
  const instant = midnight + (hour * 60 + minuteOfHour - offset) * minute + second * 1_000
  const isLeap = second === 60
  if (isLeap && !mayBeLeapSecond(instant)) return undefined
  return { second: instant, fraction, isLeap }
}

/** Reads an RFC 3339 time. Digits beyond milliseconds are dropped. */
export const parseInstant = (text: string): Option.Option<DateTime.Utc> => {
  const time = read(text)
  return time === undefined
    ? Option.none()
    : DateTime.make(time.second + Number(time.fraction.slice(0, 3).padEnd(3, "0"))).pipe(Option.map(DateTime.toUtc))
}

/**
 * Writes an RFC 3339 time in the one spelling that all spellings of its moment share: in UTC, with upper case letters and without
 * zeros at the end of the fraction. Undefined where the text is not such a time.
 */
export const canonicalInstant = (text: string): string | undefined => {
  const time = read(text)
  if (time === undefined) return undefined
  const fraction = time.fraction.replace(/0+$/, "")
  const before = DateTime.formatIso(DateTime.unsafeMake(time.isLeap ? time.second - 1_000 : time.second)).slice(
    0,
    -".000Z".length
  )
  const second = time.isLeap ? before.replace(/59$/, "60") : before
  return `${second}${fraction === "" ? "" : `.${fraction}`}Z`
}
