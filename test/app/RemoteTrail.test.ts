import * as Path from "node:path"
import { describe, expect, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import { anEvent } from "../support/AuditEvents.ts"
import { rowsOf, signingSecret } from "../support/Gravitas.ts"
import { leaveJournal } from "../support/Journals.ts"
import { program } from "../support/Program.ts"
import {
  arrived,
  gatekeeperOn,
  journalsOf,
  portOf,
  recorderAt,
  sourcesOf,
  until,
  written
} from "../support/RemoteTrail.ts"
import { temporaryHome } from "../support/TemporaryHome.ts"
import { migratedDatabase } from "../support/TestDatabase.ts"

describe("a process without the gatekeeper", () => {
  it.scopedLive(
    "records while the gatekeeper is killed under load, and each event is in the trail once when it is back",
    () =>
      Effect.gen(function* () {
        const databaseUrl = yield* migratedDatabase
        const home = yield* temporaryHome
        const first = yield* gatekeeperOn(databaseUrl)
        const recorder = yield* recorderAt(first.url, home)
        const ids = [...(yield* recorder.record(50))]
        yield* arrived(databaseUrl, ids, recorder.running)
        const load = yield* Effect.fork(Effect.forEach(Array.from({ length: 40 }), () => recorder.record(25)))
        yield* Effect.sleep("150 millis")
        yield* first.running.signal("SIGKILL")
        yield* first.running.ended()
        ids.push(...(yield* load).flat())
        ids.push(...(yield* recorder.record(10)))
        expect(yield* recorder.status).toMatchObject({ accepting: true })
        const second = yield* gatekeeperOn(databaseUrl, portOf(first.url))
        yield* arrived(databaseUrl, ids, recorder.running, second.running)
        yield* recorder.running.signal("SIGTERM")
        expect((yield* recorder.running.ended()).code).toBe(0)
        expect(yield* sourcesOf(databaseUrl)).toMatchObject([
          { identity: "service:guardian", last_seq: ids.length, committed: ids.length, signed_off_seq: ids.length }
        ])
        expect(yield* journalsOf(home)).toEqual([])
        // A batch has no row of its own: what lets it in stands for a minute.
        const [decisions] = yield* rowsOf(
          databaseUrl,
          "select count(*)::integer as count from gatekeeper.audit_log where resource = 'audit/store' and result = 'ALLOWED'"
        )
        expect(Number(decisions?.["count"])).toBeLessThanOrEqual(4)
      }),
    120_000
  )

  it.scopedLive(
    "is killed with events that never left it, and its next life brings them through the gatekeeper",
    () =>
      Effect.gen(function* () {
        const databaseUrl = yield* migratedDatabase
        const home = yield* temporaryHome
        const gatekeeper = yield* gatekeeperOn(databaseUrl)
        const first = yield* recorderAt(gatekeeper.url, home)
        const ids = [...(yield* first.record(5))]
        yield* arrived(databaseUrl, ids)
        // It stands still: nothing that it is sent is answered.
        yield* gatekeeper.running.signal("SIGSTOP")
        ids.push(...(yield* first.record(200)))
        yield* first.running.signal("SIGKILL")
        yield* first.running.ended()
        yield* gatekeeper.running.signal("SIGCONT")
        const second = yield* recorderAt(gatekeeper.url, home)
        ids.push(...(yield* second.record(3)))
        yield* arrived(databaseUrl, ids, second.running)
        yield* until(sourcesOf(databaseUrl), (rows) => rows[0]?.["signed_off_seq"] === 205)
        yield* second.running.signal("SIGTERM")
        expect((yield* second.running.ended()).code).toBe(0)
        expect(yield* sourcesOf(databaseUrl)).toMatchObject([
          { identity: "service:guardian", last_seq: 205, committed: 205 },
          { identity: "service:guardian", last_seq: 3, committed: 3, signed_off_seq: 3 }
        ])
        expect(yield* journalsOf(home)).toEqual([])
      }),
    120_000
  )

  it.scopedLive(
    "ends within its deadline while the gatekeeper stands still, and leaves its events to the next start",
    () =>
      Effect.gen(function* () {
        const databaseUrl = yield* migratedDatabase
        const home = yield* temporaryHome
        const gatekeeper = yield* gatekeeperOn(databaseUrl)
        const first = yield* recorderAt(gatekeeper.url, home)
        yield* gatekeeper.running.signal("SIGSTOP")
        const ids = yield* first.record(20)
        yield* first.running.signal("SIGTERM")
        expect((yield* first.running.ended("8 seconds")).code).toBe(0)
        expect(yield* journalsOf(home)).toHaveLength(1)
        yield* gatekeeper.running.signal("SIGCONT")
        const second = yield* recorderAt(gatekeeper.url, home)
        yield* arrived(databaseUrl, ids, second.running)
      }),
    120_000
  )

  it.scopedLive(
    "leaves what another identity left to that one, which takes it over at its next start",
    () =>
      Effect.gen(function* () {
        const databaseUrl = yield* migratedDatabase
        const home = yield* temporaryHome
        const gatekeeper = yield* gatekeeperOn(databaseUrl)
        const router = yield* recorderAt(gatekeeper.url, home, { RECORDER_SERVICE: "router" })
        const ids = [...(yield* router.record(5))]
        yield* arrived(databaseUrl, ids)
        yield* gatekeeper.running.signal("SIGSTOP")
        ids.push(...(yield* router.record(30)))
        yield* router.running.signal("SIGKILL")
        yield* router.running.ended()
        yield* gatekeeper.running.signal("SIGCONT")
        const guardian = yield* recorderAt(gatekeeper.url, home)
        yield* guardian.running.printed(/is left to its owner: .*belongs to service:router/)
        ids.push(...(yield* guardian.record(5)))
        yield* recorderAt(gatekeeper.url, home, { RECORDER_SERVICE: "router" })
        yield* arrived(databaseUrl, ids, guardian.running)
        expect(gatekeeper.running.output()).not.toContain("ALARM")
      }),
    120_000
  )

  it.scopedLive(
    "leaves what it did not bring to a gatekeeper in the same home, too",
    () =>
      Effect.gen(function* () {
        const databaseUrl = yield* migratedDatabase
        const home = yield* temporaryHome
        const first = yield* gatekeeperOn(databaseUrl)
        const recorder = yield* recorderAt(first.url, home)
        const ids = [...(yield* recorder.record(5))]
        yield* arrived(databaseUrl, ids)
        yield* first.running.signal("SIGKILL")
        ids.push(...(yield* recorder.record(30)))
        yield* recorder.running.signal("SIGKILL")
        yield* recorder.running.ended()
        const second = yield* gatekeeperOn(databaseUrl, "0", home)
        yield* arrived(databaseUrl, ids, second.running)
        yield* until(sourcesOf(databaseUrl), (rows) => rows[0]?.["signed_off_seq"] === 35)
      }),
    120_000
  )

  it.scopedLive(
    "cannot have a gatekeeper in the same home adopt what it may not record",
    () =>
      Effect.gen(function* () {
        const databaseUrl = yield* migratedDatabase
        const home = yield* temporaryHome
        const first = yield* gatekeeperOn(databaseUrl, "0", home)
        const recorder = yield* recorderAt(first.url, home)
        const ids = [...(yield* recorder.record(2))]
        yield* arrived(databaseUrl, ids)
        yield* recorder.running.signal("SIGKILL")
        yield* first.running.signal("SIGKILL")
        yield* Effect.all([recorder.running.ended(), first.running.ended()])
        const mine = crypto.randomUUID()
        yield* rowsOf(
          databaseUrl,
          "insert into gatekeeper.audit_source (source, identity) values ($1, 'service:guardian')",
          [mine]
        )
        const journals = Path.join(home, "journal")
        const forged = yield* leaveJournal(databaseUrl, journals, 3, { source: mine, event: anEvent })
        const unknown = yield* leaveJournal(databaseUrl, journals, 3)
        const second = yield* gatekeeperOn(databaseUrl, "0", home)
        yield* second.running.printed(/ALARM: the audit journal .* is not adopted: it holds 3 events of a source/)
        yield* until(
          rowsOf(databaseUrl, "select event_id from gatekeeper.audit_dead_letter where source = $1", [mine]),
          (rows) => rows.length === 3
        )
        expect(
          yield* rowsOf(databaseUrl, "select id from gatekeeper.audit_log where id = any($1)", [
            [...forged.rows, ...unknown.rows].map(({ id }) => id)
          ])
        ).toEqual([])
      }),
    120_000
  )

  it.scopedLive(
    "takes no event before it has reached its gatekeeper, and says so",
    () =>
      Effect.gen(function* () {
        const databaseUrl = yield* migratedDatabase
        const gone = yield* gatekeeperOn(databaseUrl)
        yield* gone.running.signal("SIGTERM")
        yield* gone.running.ended()
        const recorder = yield* recorderAt(gone.url, yield* temporaryHome)
        const refused = yield* recorder.record(1).pipe(Effect.sandbox, Effect.flip)
        expect(Cause.pretty(refused)).toContain("has not been reached since the start")
        expect(yield* recorder.status).toMatchObject({ accepting: false, trail: null })
        yield* gatekeeperOn(databaseUrl, portOf(gone.url))
        yield* until(recorder.status, (status) => status["accepting"] === true)
        yield* arrived(databaseUrl, yield* recorder.record(3), recorder.running)
        yield* recorder.running.signal("SIGTERM")
        expect((yield* recorder.running.ended()).code).toBe(0)
        expect(yield* sourcesOf(databaseUrl)).toMatchObject([{ signed_off_seq: 3 }])
      }),
    120_000
  )

  it.scopedLive(
    "that the gatekeeper does not know keeps everything, says why, and goes on when it is let in",
    () =>
      Effect.gen(function* () {
        const databaseUrl = yield* migratedDatabase
        const home = yield* temporaryHome
        const gatekeeper = yield* gatekeeperOn(databaseUrl)
        const first = yield* recorderAt(gatekeeper.url, home)
        const [source, port] = [yield* first.source, portOf(gatekeeper.url)]
        yield* gatekeeper.running.signal("SIGTERM")
        yield* gatekeeper.running.ended()
        // Another secret than the one that the process signs its tokens with.
        const stranger = yield* program({
          args: ["gatekeeper"],
          environment: {
            GRAVITAS_HOME: yield* temporaryHome,
            DATABASE_URL: Redacted.value(databaseUrl),
            JWT_SECRET_KEY: `${signingSecret}, and another`,
            GATEKEEPER_PORT: port
          }
        })
        yield* stranger.url("gatekeeper")
        const ids = yield* first.record(10)
        yield* until(first.status, (status) => status["drain"] === "paused")
        expect(JSON.stringify(yield* first.status)).toContain("the gatekeeper answered 401")
        expect(yield* written(databaseUrl)).toEqual([])
        yield* stranger.signal("SIGTERM")
        yield* stranger.ended()
        yield* gatekeeperOn(databaseUrl, port)
        yield* arrived(databaseUrl, ids, first.running)
        expect(yield* first.source).toBe(source)
      }),
    120_000
  )
})
