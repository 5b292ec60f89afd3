import { describe, expect, it } from "@effect/vitest"
import type * as Config from "effect/Config"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as FastCheck from "effect/FastCheck"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Setting from "../../../src/platform/config/Setting.ts"

/** What `config` makes of variable X with this text. */
const read = <A>(config: Config.Config<A>, text: string) =>
  Effect.either(Effect.withConfigProvider(config, ConfigProvider.fromMap(new Map([["X", text]]))))

const count = Setting.integer("X", { min: 1, max: 100 }, { expected: "a number from 1 to 100", example: "7" })
const wait = Setting.duration("X", { min: "0 millis", max: "1 day" }, "25s")
const mode = Setting.choice("X", ["refuse", "shed"], "refuse")
const key = Setting.secret("X", { expected: "8 characters", example: "…" }, (given) => given.length >= 8)
const url = Setting.databaseUrl("X")

const readings: ReadonlyArray<readonly [what: string, config: Config.Config<unknown>, text: string, value: unknown]> = [
  ["an integer at its lower bound", count, "1", Option.some(1)],
  ["an integer at its upper bound", count, "100", Option.some(100)],
  ["an integer with space around it", count, " 42 ", Option.some(42)],
  ["a choice in capitals", mode, "SHED", Option.some("shed")],
  ["port 0", Setting.port("X", 8001), "0", Option.some(0)],
  ["the highest port", Setting.port("X", 8001), "65535", Option.some(65_535)],
  ["nothing", count, "", Option.none()],
  ["blanks", count, "  ", Option.none()],
  ["a default for nothing", count.pipe(Setting.orDefault(5)), "", 5],
  ["milliseconds", wait, "250ms", Option.some(Duration.millis(250))],
  ["seconds", wait, "25s", Option.some(Duration.seconds(25))],
  ["half a minute", wait, "0.5 m", Option.some(Duration.seconds(30))],
  ["hours", wait, "24h", Option.some(Duration.hours(24))],
  ["days", wait, "1d", Option.some(Duration.days(1))],
  ["a duration written out", wait, "25 seconds", Option.some(Duration.seconds(25))]
]

const refusals: ReadonlyArray<readonly [what: string, config: Config.Config<unknown>, text: string]> = [
  ["an integer below its bound", count, "0"],
  ["an integer above its bound", count, "101"],
  ["a number far too large", count, "99999999999999999999999"],
  ["a negative integer", count, "-1"],
  ["a fraction", count, "1.5"],
  ["an exponent", count, "1e1"],
  ["hexadecimal", count, "0x10"],
  ["a word", count, "many"],
  ["an unknown choice", mode, "drop"],
  ["a port above 65535", Setting.port("X", 8001), "65536"],
  ["a number without unit", wait, "25"],
  ["an unknown unit", wait, "25y"],
  ["a duration above its bound", wait, "25h"],
  ["an endless duration", wait, "Infinity"],
  ["a negative duration", wait, "-5s"],
  ["a negative duration written out", wait, "-5 seconds"],
  ["a short secret", key, "short"],
  ["another scheme", url, "mysql://u:p@h/d"],
  ["no database", url, "postgresql://u:p@h"],
  ["an empty database", url, "postgresql://u:p@h/"],
  ["a password with #, which ends the address", url, "postgresql://u:p@ss/w#rd@h:5432/d"],
  ["a password with %, which begins a code", url, "postgresql://u:100%sure@h:5432/d"],
  ["no URL at all", url, "host=h dbname=d password=p"]
]

describe("Setting", () => {
  it.effect.each(readings)("reads %s", ([, config, text, value]) =>
    Effect.gen(function* () {
      expect(yield* read(config, text)).toEqual(Either.right(value))
    })
  )

  it.effect.each(refusals)("refuses %s", ([, config, text]) =>
    Effect.gen(function* () {
      const refusal = Either.flip(yield* read(config, text)).pipe(Either.getOrThrow)
      expect(refusal.message).toMatch(/expected .+; for example X=/)
    })
  )

  it.effect("repeats the value it refuses, but never a secret one", () =>
    Effect.gen(function* () {
      const refused = (config: Config.Config<unknown>, text: string) =>
        Effect.map(read(config, text), (result) => Either.flip(result).pipe(Either.getOrThrow).message)
      expect(yield* refused(count, "many")).toContain('got "many"')
      expect(yield* refused(key, "hunter2")).not.toContain("hunter2")
      expect(yield* refused(url, "mysql://root:hunter2@h/d")).not.toContain("hunter2")
    })
  )

  it.effect("keeps a secret redacted and whole", () =>
    Effect.gen(function* () {
      const value = Option.getOrThrow(Either.getOrThrow(yield* read(key, "hunter2hunter2")))
      expect(String(value)).toBe("<redacted>")
      expect(Redacted.value(value)).toBe("hunter2hunter2")
    })
  )

  it.prop(
    "reads every whole number of a short unit as what the long form says",
    [
      FastCheck.nat({ max: 100_000 }),
      FastCheck.constantFrom(
        ["ms", Duration.millis] as const,
        ["s", Duration.seconds] as const,
        ["m", Duration.minutes] as const,
        ["h", Duration.hours] as const,
        ["d", Duration.days] as const
      )
    ],
    ([amount, [unit, durationOf]]) => {
      expect(Setting.parseDuration(`${amount}${unit}`)).toEqual(Option.some(durationOf(amount)))
    }
  )

  it.effect.prop(
    "never throws, whatever the text, and accepts no integer out of range",
    [FastCheck.string()],
    ([text]) =>
      Effect.gen(function* () {
        const outcomes = yield* Effect.all([read(wait, text), read(url, text), read(mode, text)])
        expect(outcomes).toHaveLength(3)
        const number = yield* read(count, text)
        if (Either.isRight(number) && Option.isSome(number.right)) {
          expect(number.right.value).toBeGreaterThanOrEqual(1)
          expect(number.right.value).toBeLessThanOrEqual(100)
        }
      })
  )
})

describe("A value that Kubernetes sets for a Service", () => {
  it.effect.each(["tcp://10.96.0.1:8001", "udp://10.96.0.1:53", "tcp://[fd00::1]:8001"])(
    "is refused as such: %s",
    (text) =>
      Effect.gen(function* () {
        const refused = yield* read(Setting.port("X", 8001), text)
        expect(JSON.stringify(refused)).toContain("give the pod enableServiceLinks: false, or the variable a value")
      })
  )
})
