import { describe, expect, layer } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import { eventually } from "../support/Eventually.ts"
import { Gravitas, request, rowsOf, signingSecret, tokenOf } from "../support/Gravitas.ts"
import { program } from "../support/Program.ts"

const tokenFor = (ghost: string) => Effect.promise(() => tokenOf(ghost))

const seconds = Effect.map(Clock.currentTimeMillis, (now) => Math.floor(now / 1_000))

/** A token that is issued in a later second than what was before: `iat` has whole seconds. */
const laterToken = (ghost: string) =>
  Effect.flatMap(seconds, (before) => eventually(seconds, (now) => now > before)).pipe(Effect.zipRight(tokenFor(ghost)))

const admin = tokenFor("Supervisor_Managed_Agent")

const asks = (token: string) =>
  Effect.flatMap(Gravitas, ({ gatekeeper }) =>
    request(`${gatekeeper}/validate`, { token, body: { action: "read", resource: "vaults/public" } })
  )

const change = (
  ghost: string,
  effect: "stop" | "resume",
  options: { readonly token?: string; readonly body?: unknown } = {}
) =>
  Effect.gen(function* () {
    const { gatekeeper } = yield* Gravitas
    const token = options.token ?? (yield* admin)
    return yield* request(`${gatekeeper}/ghosts/${encodeURIComponent(ghost)}/${effect}`, {
      method: "POST",
      token,
      ...(options.body === undefined ? {} : { body: options.body })
    })
  })

const rows = (text: string, values: ReadonlyArray<unknown>) =>
  Effect.flatMap(Gravitas, ({ databaseUrl }) => rowsOf(databaseUrl, text, values))

/** The command line beside the running program, on the same database. */
const command = (...args: ReadonlyArray<string>) =>
  Effect.gen(function* () {
    const { databaseUrl } = yield* Gravitas
    const running = yield* program({
      args,
      environment: { DATABASE_URL: Redacted.value(databaseUrl), JWT_SECRET_KEY: signingSecret }
    })
    expect((yield* running.ended()).code).toBe(0)
    return running.stdout()
  })

layer(Gravitas.layer({ args: ["gatekeeper"] }), { timeout: "60 seconds", excludeTestServices: true })(
  "a ghost that is stopped",
  (it) => {
    describe("over HTTP", () => {
      it.scoped(
        "has no valid token; a resume revives none from before the stop",
        () =>
          Effect.gen(function* () {
            const old = yield* tokenFor("Scout")
            expect((yield* asks(old)).status).toBe(200)

            const stop = yield* change("Scout", "stop", { body: { reason: "its token leaked" } })
            expect(stop).toMatchObject({
              status: 200,
              body: { ghost_id: "Scout", effect: "stop", reason: "its token leaked" }
            })
            const refused = yield* asks(old)
            expect(refused.status).toBe(401)
            expect(refused.body).toMatchObject({ error: { code: "unauthenticated" } })
            expect(JSON.stringify(refused.body)).toContain('the ghost \\"Scout\\" was stopped at')
            expect(JSON.stringify(refused.body)).not.toContain("leaked")
            const fresh = yield* laterToken("Scout")
            expect((yield* asks(fresh)).status).toBe(401)

            expect(yield* change("Scout", "resume")).toMatchObject({ status: 200, body: { effect: "resume" } })
            expect((yield* asks(old)).status).toBe(401)
            expect((yield* asks(fresh)).status).toBe(200)
            expect((yield* asks(yield* tokenFor("Scout"))).status).toBe(200)

            const table = yield* rows(
              "select no, kind, subject, effect, made_by, reason from gatekeeper.revocation where subject = $1 order by no",
              ["Scout"]
            )
            expect(table).toMatchObject([
              { kind: "ghost", effect: "stop", made_by: "Supervisor_Managed_Agent", reason: "its token leaked" },
              { kind: "ghost", effect: "resume", made_by: "Supervisor_Managed_Agent", reason: null }
            ])
            const recorded = yield* eventually(
              rows("select * from gatekeeper.audit_log where action = 'ghost.stop' and resource = 'ghosts/Scout'", []),
              (found) => found.length > 0
            )
            expect(recorded).toMatchObject([
              {
                id: stop.body["audit_id"],
                ghost_id: "Supervisor_Managed_Agent",
                result: "ALLOWED",
                reason: "its token leaked"
              }
            ])
          }),
        60_000
      )

      it.scoped(
        "is denied also where another asks about it",
        () =>
          Effect.gen(function* () {
            const { gatekeeper } = yield* Gravitas
            const token = yield* admin
            const evaluate = request(`${gatekeeper}/access/v1/evaluation`, {
              token,
              body: {
                subject: { type: "ghost", id: "Librarian" },
                action: { name: "read" },
                resource: { type: "vaults", id: "public" }
              }
            })
            const explain = request(`${gatekeeper}/explain`, {
              token,
              body: { ghost_id: "Librarian", action: "read", resource: "vaults/public" }
            })
            expect((yield* evaluate).body).toMatchObject({ decision: true })
            yield* change("Librarian", "stop")
            expect((yield* evaluate).body).toMatchObject({ decision: false })
            expect((yield* explain).body).toMatchObject({ allowed: false, reason: expect.stringContaining("stopped") })
            yield* change("Librarian", "resume")
            expect((yield* evaluate).body).toMatchObject({ decision: true })
          }),
        60_000
      )

      it.scoped("is stopped by those alone who may write it; a name may hold any character", () =>
        Effect.gen(function* () {
          expect((yield* change("dan_flory", "stop", { token: yield* tokenFor("Librarian-2") })).status).toBe(403)
          expect((yield* asks(yield* tokenFor("dan_flory"))).status).toBe(200)
          expect((yield* change("x".repeat(101), "stop")).status).toBe(422)
          expect((yield* change("team/../a b", "stop", { body: { reason: 7 } })).status).toBe(422)
          expect(yield* change("team/../a b", "stop")).toMatchObject({ status: 200, body: { ghost_id: "team/../a b" } })
        })
      )

      it.scoped("is shown to services alone", () =>
        Effect.gen(function* () {
          const { gatekeeper } = yield* Gravitas
          const feed = (token?: string) => request(`${gatekeeper}/stops`, token === undefined ? {} : { token })
          yield* change("Feeder", "stop")
          expect((yield* feed()).status).toBe(401)
          expect((yield* feed(yield* tokenFor("Librarian-2"))).status).toBe(403)
          const first = yield* feed(yield* tokenFor("service:router"))
          expect(first.status).toBe(200)
          expect(first.body["revocations"]).toContainEqual(
            expect.objectContaining({ subject: "Feeder", effect: "stop" })
          )
          expect(first.body["policy_version"]).toMatch(/^[0-9a-f]{12}$/)
          const next = yield* request(`${gatekeeper}/stops?after=${first.body["next"]}`, {
            token: yield* tokenFor("service:guardian")
          })
          expect(next.body).toMatchObject({ revocations: [], next: first.body["next"] })
          const elsewhere = yield* request(`${gatekeeper}/stops?after=another`, {
            token: yield* tokenFor("service:guardian")
          })
          expect(elsewhere.body["revocations"]).toEqual(first.body["revocations"])
        })
      )
    })

    describe("on the command line", () => {
      it.scoped(
        "is refused by a running gatekeeper too, and resumed",
        () =>
          Effect.gen(function* () {
            const old = yield* tokenFor("dan_flory")
            expect(yield* command("ghost", "stop", "dan_flory", "--reason", "drill")).toContain("dan_flory is stopped")
            yield* eventually(asks(old), ({ status }) => status === 401, { within: "5 seconds" })
            const report: unknown = JSON.parse(yield* command("ghost", "resume", "dan_flory", "--json"))
            expect(report).toMatchObject({ exitCode: 0, result: { ghost_id: "dan_flory", effect: "resume" } })
            const fresh = yield* laterToken("dan_flory")
            yield* eventually(asks(fresh), ({ status }) => status === 200, { within: "5 seconds" })
            expect((yield* asks(old)).status).toBe(401)
            const recorded = yield* eventually(
              rows(
                "select * from gatekeeper.audit_log where action like 'ghost.%' and resource = 'ghosts/dan_flory'",
                []
              ),
              (found) => found.length === 2
            )
            expect(recorded[0]).toMatchObject({ ghost_id: null, metadata: { ghost_id: "dan_flory" } })
          }),
        60_000
      )
    })

    // After the command line, which counts the stops of this ghost.
    describe("that had issued tokens to others", () => {
      it.scoped(
        "takes the tokens with it that it had issued to others, and gets none itself",
        () =>
          Effect.gen(function* () {
            const { gatekeeper } = yield* Gravitas
            const issue = (ghost: string, token: string) =>
              request(`${gatekeeper}/tokens`, { token, body: { ghost_id: ghost, valid_for: "5m" } })
            const issuer = yield* laterToken("dan_flory")
            const issued = yield* issue("Issued", issuer)
            expect(issued).toMatchObject({ status: 201, body: { ghost_id: "Issued", expires_in: 300 } })
            const token = String(issued.body["access_token"])
            // Authenticated; the policy does not know it.
            expect((yield* asks(token)).status).toBe(403)
            expect((yield* issue("Issued", token)).status).toBe(403)

            yield* change("dan_flory", "stop")
            expect((yield* asks(token)).status).toBe(401)
            const refused = yield* issue("dan_flory", yield* admin)
            expect([refused.status, refused.body["error"]]).toMatchObject([409, { code: "ghost_stopped" }])
            yield* change("dan_flory", "resume")
            expect((yield* asks(token)).status).toBe(401)

            const trail = yield* eventually(
              rows(
                `select action, resource, ghost_id, result, metadata from gatekeeper.audit_log
                 where resource in ('tokens/Issued', 'tokens/dan_flory') order by id`,
                []
              ),
              (found) => found.length >= 5
            )
            expect(trail).toMatchObject([
              { action: "create", ghost_id: "dan_flory", result: "ALLOWED" },
              { action: "token.issue", ghost_id: "dan_flory", metadata: { token_id: issued.body["token_id"] } },
              { action: "create", ghost_id: "Issued", result: "DENIED" },
              { action: "create", ghost_id: "Supervisor_Managed_Agent", result: "ALLOWED" },
              { action: "token.issue", ghost_id: "Supervisor_Managed_Agent", result: "DENIED" }
            ])
          }),
        60_000
      )
    })
  }
)
