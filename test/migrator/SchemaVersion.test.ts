import { describe, expect, it } from "@effect/vitest"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Logger from "effect/Logger"
import { type SchemaVersion, schemaProbe } from "../../src/migrator/SchemaVersion.ts"

type Version = SchemaVersion<"router">

const atHead: Version = {
  service: "router",
  head: "0002_b",
  expected: "0002_b",
  actual: Effect.succeed("0002_b"),
  contractions: Effect.succeed([])
}

describe("The probe of a running service's schema", () => {
  it.scopedLive("says within 300 ms that a database hangs", () =>
    Effect.gen(function* () {
      const probe = yield* schemaProbe({ ...atHead, actual: Effect.uninterruptible(Effect.never) })
      const [took, state] = yield* Effect.timed(probe)
      expect(state).toMatchObject({ databaseAnswers: false, databaseProblem: "no answer within 250ms" })
      // An idle machine takes 252 ms; the bound leaves room for a busy one.
      expect(Duration.toMillis(took)).toBeLessThan(900)
    })
  )

  it.scopedLive(
    "believes the schema of the last answer for two seconds, so that a slow moment takes no service out",
    () =>
      Effect.gen(function* () {
        const slow = { is: false }
        const actual = Effect.suspend(() => (slow.is ? Effect.never : Effect.succeed("0002_b")))
        const probe = yield* schemaProbe({ ...atHead, actual })
        expect(yield* probe).toMatchObject({ databaseAnswers: true, schemaStands: true })
        slow.is = true
        yield* Effect.sleep("300 millis")
        expect(yield* probe).toMatchObject({ databaseAnswers: false, schemaStands: true, schema: { actual: "0002_b" } })
        yield* Effect.sleep("2 seconds")
        expect(yield* probe).toMatchObject({ databaseAnswers: false, schemaStands: false, schema: { actual: null } })
      })
  )

  it.scopedLive("takes what arrived while the process itself was busy for longer than its patience", () =>
    Effect.gen(function* () {
      const answer = Effect.async<string>((resume) => {
        setTimeout(() => {
          const end = performance.now() + 400
          while (performance.now() < end);
          setImmediate(() => resume(Effect.succeed("0002_b")))
        }, 5)
      })
      expect(yield* yield* schemaProbe({ ...atHead, actual: answer })).toMatchObject({ databaseAnswers: true })
    })
  )

  it.effect("names a later revision that removed something, and logs it once; one that only adds is fine", () =>
    Effect.gen(function* () {
      const lines: Array<string> = []
      const logger = Logger.make(({ logLevel, message }) => lines.push(`${logLevel.label} ${String(message)}`))
      const states = (contractions: ReadonlyArray<string>) =>
        schemaProbe({ ...atHead, actual: Effect.succeed("0004_d"), contractions: Effect.succeed(contractions) }).pipe(
          Effect.flatMap((probe) => Effect.replicateEffect(Effect.zipLeft(probe, Effect.yieldNow()), 2)),
          Effect.provide(Logger.replace(Logger.defaultLogger, logger))
        )
      const [expanded] = yield* states([])
      expect(expanded?.schema).toEqual({ expected: "0002_b", actual: "0004_d" })
      const [contracted] = yield* states(["0003_c"])
      expect(contracted).toMatchObject({ databaseAnswers: true, schemaStands: true })
      expect(contracted?.schema.problem).toMatch(/^0003_c \(phase contract\) removed .* downgrade the schema/)
      expect(lines).toEqual([expect.stringMatching(/^ERROR Router schema: 0003_c \(phase contract\)/)])
    })
  )
})
