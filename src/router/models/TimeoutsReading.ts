import * as Duration from "effect/Duration"
import * as Option from "effect/Option"
import { parseDuration } from "../../platform/config/Setting.ts"
import type { Timeouts } from "./Catalog.ts"
import type { ModelsReading } from "./ModelsReading.ts"

/** A model that thinks before its first word takes tens of seconds; one that has begun and stops is lost. */
export const standardTimeouts: Timeouts = {
  connect: Duration.seconds(5),
  firstByte: Duration.seconds(60),
  idle: Duration.seconds(30),
  total: Duration.minutes(10)
}

const longest = Duration.hours(1)
const shortest = Duration.millis(10)

/** Reads the `timeouts` of a provider; what is left out has its standard value. */
export const readTimeouts = (reading: ModelsReading, provider: string, node: unknown): Timeouts => {
  if (node === undefined) return standardTimeouts
  const { at, fields, note, text } = reading
  const what = `timeouts of provider ${provider}`
  const found = fields(node, what, { required: [], optional: ["connect", "first_byte", "idle", "total"] })
  const read = (field: string, standard: Duration.Duration): Duration.Duration => {
    if (!found.has(field)) return standard
    const given = text(found.get(field), `${field} in ${what}`)
    const parsed = Option.filter(parseDuration(given), Duration.between({ minimum: shortest, maximum: longest }))
    if (Option.isSome(parsed)) return parsed.value
    if (given !== "") note(at(found.get(field)), `${field} in ${what} must be a duration from 10ms to 1h, such as 30s`)
    return standard
  }
  return {
    connect: read("connect", standardTimeouts.connect),
    firstByte: read("first_byte", standardTimeouts.firstByte),
    idle: read("idle", standardTimeouts.idle),
    total: read("total", standardTimeouts.total)
  }
}
