import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import { decide, type Holder } from "../../src/embedded-postgres/ServerOwnership.ts"
import { connect } from "../../src/platform/postgres/Connection.ts"
import { embeddedProcess, patient } from "../support/EmbeddedProcess.ts"
import { postmasterPid, serverHome } from "../support/TemporaryHome.ts"
import { clusterHome } from "../support/TestPostgres.ts"

const holder = (purpose: Holder["purpose"], phase: Holder["phase"]) =>
  Option.some<Holder>({ pid: 1, since: "2026-01-01T00:00:00.000Z", purpose, phase, port: null })

const decisions: ReadonlyArray<
  readonly [asker: Holder["purpose"], holder: Option.Option<Holder>, decision: ReturnType<typeof decide>]
> = [
  ["server", holder("server", "starting"), "refuse"],
  ["server", holder("server", "running"), "refuse"],
  ["server", holder("server", "stopping"), "wait"],
  ["server", holder("command", "running"), "wait"],
  ["server", Option.none(), "wait"],
  ["command", holder("server", "starting"), "wait"],
  ["command", holder("server", "running"), "join"],
  ["command", holder("server", "stopping"), "wait"],
  ["command", holder("command", "running"), "wait"],
  ["command", Option.none(), "wait"]
]

describe("decide", () => {
  it("refuses a second server, joins a running one, and waits for a holder that is about to leave", () => {
    for (const [asker, found, decision] of decisions)
      expect([asker, found, decide(found, asker)]).toEqual([asker, found, decision])
  })
})

describe("a home", patient, () => {
  it.scopedLive("refuses a second server, naming the first and what to set, and is joined by a command", () =>
    Effect.gen(function* () {
      const home = yield* clusterHome
      const server = yield* embeddedProcess({ home })
      const first = yield* server.ready

      const error = yield* (yield* embeddedProcess({ home })).failure
      expect(error.failed).toBe("HomeInUse")
      for (const part of [home, `pid ${server.pid}`, "since 20", "GRAVITAS_HOME", "DATABASE_URL"]) {
        expect(error.message).toContain(part)
      }

      const command = yield* embeddedProcess({ home, join: true, once: true })
      expect(yield* command.ready).toMatchObject({ ownership: "joined", url: first.url, rows: 2 })
      yield* command.end
      // Its end is not the server's.
      const connection = yield* connect({ url: Redacted.make(first.url), applicationName: "test" })
      expect((yield* connection.query("select count(*)::int as rows from kept")).rows).toEqual([{ rows: 3 }])
    })
  )

  it.scopedLive("without a server gives a command a PostgreSQL for itself, which a server then waits for", () =>
    Effect.gen(function* () {
      const home = yield* clusterHome
      const command = yield* embeddedProcess({ home, join: true })
      const { dataDirectory, ownership } = yield* command.ready
      expect(ownership).toBe("started")
      const server = yield* embeddedProcess({ home })
      const other = yield* embeddedProcess({ home, join: true, turnPatience: 500 })
      const refused = yield* other.failure
      expect(refused.message).toContain(`another Gravitas command (pid ${command.pid}`)
      yield* command.kill("SIGTERM")
      expect(yield* server.ready).toMatchObject({ ownership: "started", rows: 3 })
      yield* server.kill("SIGTERM")
      yield* server.end
      expect(yield* postmasterPid(dataDirectory)).toEqual(Option.none())
    })
  )

  it.scopedLive("lets one of four servers that start at once win, and the others know who did", () =>
    Effect.gen(function* () {
      const home = yield* serverHome
      const starters = yield* Effect.all(Array.from({ length: 4 }, () => embeddedProcess({ home })))
      const lines = yield* Effect.all(
        starters.map(({ next }) => next),
        { concurrency: "unbounded" }
      )
      const winners = lines.flatMap((line) => ("ready" in line ? [line.ready] : []))
      const losers = lines.flatMap((line) => ("failed" in line ? [line] : []))
      expect(winners).toHaveLength(1)
      expect(losers).toHaveLength(3)
      for (const { failed, message } of losers) {
        expect(failed).toBe("HomeInUse")
        expect(message).toContain(`pid ${winners[0]?.pid}`)
      }
    })
  )
})
