import * as Fs from "node:fs/promises"
import * as Path from "node:path"
import { describe, expect, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Schedule from "effect/Schedule"
import { request, rowsOf, signingSecret, tokenOf } from "../support/Gravitas.ts"
import { type Program, program, tsxLoader } from "../support/Program.ts"
import { temporaryHome } from "../support/TemporaryHome.ts"
import { freshDatabase } from "../support/TestDatabase.ts"

const recorderProgram = Path.join(import.meta.dirname, "../support/RemoteRecorder.ts")

/** A gatekeeper in a home of its own, with a way to start it again at the same address. */
const gatekeeperOn = (databaseUrl: Redacted.Redacted, port = "0", home?: string) =>
  Effect.gen(function* () {
    const running = yield* program({
      args: ["gatekeeper"],
      environment: {
        GRAVITAS_HOME: home ?? (yield* temporaryHome),
        DATABASE_URL: Redacted.value(databaseUrl),
        JWT_SECRET_KEY: signingSecret,
        GATEKEEPER_PORT: port
      }
    })
    return { running, url: yield* running.url("gatekeeper") }
  })

const recorderAt = (gatekeeper: string, home: string, environment: Readonly<Record<string, string>> = {}) =>
  Effect.gen(function* () {
    const running = yield* program({
      runner: [process.execPath, "--import", tsxLoader, recorderProgram],
      environment: {
        GRAVITAS_HOME: home,
        GATEKEEPER_URL: gatekeeper,
        JWT_SECRET_KEY: signingSecret,
        SHUTDOWN_DEADLINE: "6s",
        ...environment
      }
    })
    const url = yield* running.url("recorder")
    const status = Effect.map(request(url), ({ body }) => body)
    return {
      running,
      status,
      source: Effect.map(status, (body) => String(body["source"])),
      record: (count: number) =>
        Effect.map(request(`${url}/${count}`, { method: "POST" }), ({ body }) => {
          const ids = body["ids"]
          if (!Array.isArray(ids)) throw new Error(JSON.stringify(body))
          return ids.map(String)
        })
    }
  })

const until = <A>(look: Effect.Effect<A>, holds: (value: A) => boolean, what: () => string = () => "") =>
  look.pipe(
    Effect.filterOrFail(holds, (value) => value),
    Effect.retry(Schedule.spaced("100 millis").pipe(Schedule.upTo("30 seconds"))),
    Effect.orDieWith((value) => new Error(`it did not come to that: ${JSON.stringify(value)} ${what()}`))
  )

const written = (databaseUrl: Redacted.Redacted) =>
  Effect.map(
    rowsOf(databaseUrl, "select id from gatekeeper.audit_log where action = 'certificate.issue' order by id"),
    (rows) => rows.map((row) => String(row["id"]))
  )

/** Each is there, once. */
const arrived = (databaseUrl: Redacted.Redacted, ids: ReadonlyArray<string>, ...programs: ReadonlyArray<Program>) =>
  Effect.gen(function* () {
    yield* until(
      Effect.map(written(databaseUrl), (found) => found.length),
      (count) => count >= ids.length,
      () => `of ${ids.length}: ${programs.map((one) => one.output()).join("\n")}`
    )
    expect(yield* written(databaseUrl)).toEqual(ids.toSorted())
  })

const sourcesOf = (databaseUrl: Redacted.Redacted) =>
  rowsOf(
    databaseUrl,
    `select source, identity, last_seq::integer, committed::integer, signed_off_seq::integer, unsigned_after::integer
     from gatekeeper.audit_source where identity is not null order by started_at`
  )

const journalsOf = (home: string) =>
  Effect.promise(() => Fs.readdir(Path.join(home, "journal")).catch(() => [])).pipe(
    Effect.map((names) => names.filter((name) => name !== "quarantine"))
  )

const portOf = (url: string) => new URL(url).port

describe("a process without the gatekeeper", () => {
  it.scopedLive(
    "records while the gatekeeper is killed under load, and each event is in the trail once when it is back",
    () =>
      Effect.gen(function* () {
        const databaseUrl = yield* freshDatabase
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
        const databaseUrl = yield* freshDatabase
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
        const databaseUrl = yield* freshDatabase
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
        const databaseUrl = yield* freshDatabase
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
        const databaseUrl = yield* freshDatabase
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
    "takes no event before it has reached its gatekeeper, and says so",
    () =>
      Effect.gen(function* () {
        const databaseUrl = yield* freshDatabase
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
        const databaseUrl = yield* freshDatabase
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
        yield* until(first.status, (status) => Reflect.get(Object(status["drain"]), "_tag") === "paused")
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

describe("POST /audit/store", () => {
  it.scopedLive(
    "lets nobody write, sign off or live for a source of another, and says so",
    () =>
      Effect.gen(function* () {
        const databaseUrl = yield* freshDatabase
        const gatekeeper = yield* gatekeeperOn(databaseUrl)
        const recorder = yield* recorderAt(gatekeeper.url, yield* temporaryHome)
        yield* arrived(databaseUrl, yield* recorder.record(5))
        const source = yield* recorder.source
        const [own] = yield* until(
          rowsOf(databaseUrl, "select source from gatekeeper.audit_source where identity is null and host is not null"),
          (rows) => rows.length === 1
        )
        const ask = (operation: string, body: unknown, ghost: string | null = "service:router") =>
          Effect.gen(function* () {
            const token = ghost === null ? undefined : yield* Effect.promise(() => tokenOf(ghost))
            return yield* request(`${gatekeeper.url}/audit/store/${operation}`, {
              body,
              ...(token === undefined ? {} : { token })
            })
          })
        const incarnationOf = (source: unknown) => ({
          source,
          host: "elsewhere",
          pid: 1,
          startedAt: 0,
          bootId: "boot",
          durability: "memory"
        })
        const end = { lastSeq: 1, shed: 0, refused: 0, unwritten: 0, inDoubt: 0, quarantined: 0 }
        const before = yield* sourcesOf(databaseUrl)
        for (const victim of [source, own?.["source"]]) {
          const incarnation = incarnationOf(victim)
          const refusals = [
            yield* ask("register", { incarnation }),
            yield* ask("heartbeat", { incarnation }),
            yield* ask("sign-off", { incarnation, end }),
            yield* ask("close-unknown", { source: victim, after: 1, counts: { refused: 0, shed: 0, quarantined: 0 } }),
            yield* ask("record-loss", { source: victim, found: { from: 0, checkedSeq: 5, lost: 5 } }),
            yield* ask("locate", { writer: crypto.randomUUID(), incarnation, ids: [] })
          ]
          for (const answer of refusals) {
            expect(answer).toMatchObject({ status: 403, body: { error: { code: "source_of_another" } } })
          }
        }
        expect(yield* sourcesOf(databaseUrl)).toEqual(before)
        yield* gatekeeper.running.printed(
          /ALARM: the audit source .* belongs to service:guardian; service:router may not/
        )
        const denied = yield* until(
          rowsOf(
            databaseUrl,
            `select metadata ->> 'operation' as operation from gatekeeper.audit_log
             where result = 'DENIED' and resource = 'audit/store' and ghost_id = 'service:router'`
          ),
          (rows) => rows.length === 12
        )
        expect(new Set(denied.map((row) => row["operation"])).size).toBe(6)

        expect((yield* ask("trail", {}, null)).status).toBe(401)
        expect((yield* ask("trail", {}, "Librarian")).status).toBe(403)
        expect((yield* ask("nothing", {})).status).toBe(422)
        expect((yield* ask("append", { rows: ["{}"], certain: true, writer: crypto.randomUUID() })).status).toBe(422)
        expect((yield* ask("append", "{")).status).toBe(422)
        expect((yield* ask("append", `["${"x".repeat(17 * 2 ** 20)}"]`)).status).toBe(413)
        expect((yield* ask("trail", {})).status).toBe(200)
      }),
    120_000
  )
})

describe("gravitas guardian", () => {
  it.scopedLive(
    "keeps its trail through a gatekeeper that starts after it, and signs off in its own name",
    () =>
      Effect.gen(function* () {
        const databaseUrl = yield* freshDatabase
        // A port that is free: the gatekeeper that had it is gone.
        const gone = yield* gatekeeperOn(databaseUrl)
        yield* gone.running.signal("SIGTERM")
        yield* gone.running.ended()
        const guardian = yield* program({
          args: ["guardian"],
          environment: {
            GRAVITAS_HOME: yield* temporaryHome,
            DATABASE_URL: Redacted.value(databaseUrl),
            JWT_SECRET_KEY: signingSecret,
            GATEKEEPER_URL: gone.url
          }
        })
        yield* guardian.url("guardian")
        expect(guardian.output()).toContain("The audit trail is kept by the gatekeeper, and it is waited for")
        yield* gatekeeperOn(databaseUrl, portOf(gone.url))
        yield* until(sourcesOf(databaseUrl), (rows) => rows.length === 1)
        yield* guardian.signal("SIGTERM")
        expect((yield* guardian.ended()).code).toBe(0)
        expect(yield* sourcesOf(databaseUrl)).toMatchObject([{ identity: "service:guardian", signed_off_seq: 0 }])
      }),
    120_000
  )

  it.scopedLive(
    "without a token and with nothing to make one of does not start, and says what to set",
    () =>
      Effect.gen(function* () {
        const databaseUrl = yield* freshDatabase
        const guardian = yield* program({
          args: ["guardian"],
          environment: { NODE_ENV: "production", DATABASE_URL: Redacted.value(databaseUrl) }
        })
        expect((yield* guardian.ended()).code).toBe(1)
        expect(guardian.stderr()).toContain("SERVICE_TOKEN")
      }),
    60_000
  )
})
