import { expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { StepContext } from "../../../src/migrator/apply/StepContext.ts"
import { inOneTransaction } from "../../../src/migrator/apply/StepContext.ts"
import type { Step } from "../../../src/migrator/plan/Plan.ts"

it.effect("the downgrade of a data revision is not searched for losses, which only its module knows", () =>
  Effect.gen(function* () {
    const done: Array<string> = []
    const record = (what: string) => Effect.sync(() => void done.push(what))
    const context = {
      options: { allowDataLoss: false, lockTimeout: "2 seconds" },
      lock: { fence: record("fence") },
      history: { remove: () => record("remove"), event: () => record("event") },
      session: {
        connection: {
          transaction: (work: Effect.Effect<void>) => work,
          query: (text: string) => Effect.as(record(text.trim().slice(0, 10)), { rows: [{ now: "now" }] })
        }
      }
    } as unknown as StepContext
    const step = {
      _tag: "Revert",
      entry: { revision: 2, slug: "mark", kind: "ts" },
      down: { transaction: true, lockTimeout: Option.none(), statementTimeout: Option.none(), text: "up" }
    } as unknown as Step
    yield* inOneTransaction(context, step, 1, record("work"))
    expect(done).toEqual(["fence", "select pg_", "work", "remove", "event"])
  })
)
