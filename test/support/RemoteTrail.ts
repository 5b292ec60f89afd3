import * as Fs from "node:fs/promises"
import * as Path from "node:path"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import { expect } from "vitest"
import { eventually } from "./Eventually.ts"
import { request, rowsOf, signingSecret } from "./Gravitas.ts"
import { commandFor, type Program, program } from "./Program.ts"
import { temporaryHome } from "./TemporaryHome.ts"

/** A gatekeeper in a home of its own, with a way to start it again at the same address. */
export const gatekeeperOn = (databaseUrl: Redacted.Redacted, port = "0", home?: string) =>
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

export const recorderAt = (gatekeeper: string, home: string, environment: Readonly<Record<string, string>> = {}) =>
  Effect.gen(function* () {
    const running = yield* program({
      runner: commandFor("test/support/RemoteRecorder.ts"),
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

export const until = <A>(look: Effect.Effect<A>, holds: (value: A) => boolean, note: () => string = () => "") =>
  eventually(look, holds, { every: "100 millis", within: "30 seconds", note })

export const written = (databaseUrl: Redacted.Redacted) =>
  Effect.map(
    rowsOf(
      databaseUrl,
      "select id from gatekeeper.audit_log where action in ('certificate.issue', 'route') order by id"
    ),
    (rows) => rows.map((row) => String(row["id"]))
  )

/** Each is there, once. */
export const arrived = (
  databaseUrl: Redacted.Redacted,
  ids: ReadonlyArray<string>,
  ...programs: ReadonlyArray<Program>
) =>
  Effect.gen(function* () {
    yield* until(
      Effect.map(written(databaseUrl), (found) => found.length),
      (count) => count >= ids.length,
      () => `of ${ids.length}: ${programs.map((one) => one.output()).join("\n")}`
    )
    expect(yield* written(databaseUrl)).toEqual(ids.toSorted())
  })

export const sourcesOf = (databaseUrl: Redacted.Redacted) =>
  rowsOf(
    databaseUrl,
    `select source, identity, last_seq::integer, committed::integer, signed_off_seq::integer, unsigned_after::integer
     from gatekeeper.audit_source where identity is not null order by started_at`
  )

export const journalsOf = (home: string) =>
  Effect.promise(() => Fs.readdir(Path.join(home, "journal")).catch(() => [])).pipe(
    Effect.map((names) => names.filter((name) => name !== "quarantine"))
  )

export const portOf = (url: string) => new URL(url).port
