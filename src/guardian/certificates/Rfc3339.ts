import * as Option from "effect/Option"
import { parseInstant } from "../../domain/Text.ts"

const zoneless = /^\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}(:\d{2}(\.\d+)?)?)?$/

/** Whether a text is a time but for its zone: the refusal can say so. */
export const lacksZone = (text: string): boolean => zoneless.test(text)

/**
 * Seconds since 1970, the fraction cut off: a certificate's signature covers whole seconds. Also accepts a space instead of the
 * "T" and a zone without its colon, as PostgreSQL and Python write them.
 */
export const parseSeconds = (text: string): Option.Option<number> =>
  parseInstant(text.replace(" ", "T").replace(/([+-]\d{2})(\d{2})$/, "$1:$2")).pipe(
    Option.map((instant) => Math.floor(instant.epochMillis / 1_000)),
    Option.filter((seconds) => seconds > 0)
  )
