import * as Http from "node:http"
import type { AddressInfo } from "node:net"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import { decodeJwt } from "jose"
import { request, rowsOf, signingSecret, tokenOf } from "../support/Gravitas.ts"
import { signingKey } from "../support/Guardian.ts"
import { program } from "../support/Program.ts"
import { sourcesOf, until } from "../support/RemoteTrail.ts"
import { command } from "../support/ServiceKeys.ts"
import { temporaryHome } from "../support/TemporaryHome.ts"
import { migratedDatabase } from "../support/TestDatabase.ts"
import { insecureUnderTest } from "../support/Tokens.ts"

const chat = { model: "echo", messages: [{ role: "user", content: "hello" }] }

/** A gatekeeper in production on a database of its own. */
const gatekeeper = (home?: string) =>
  Effect.gen(function* () {
    const databaseUrl = yield* migratedDatabase
    const running = yield* program({
      args: ["gatekeeper"],
      environment: {
        NODE_ENV: "production",
        ALLOW_INSECURE: insecureUnderTest,
        GRAVITAS_HOME: home ?? (yield* temporaryHome),
        DATABASE_URL: Redacted.value(databaseUrl),
        JWT_SECRET_KEY: signingSecret
      }
    })
    return { databaseUrl, running, url: yield* running.url("gatekeeper") }
  })

/** Services in production in a process of their own, with nothing but their key. */
const apart = (
  services: ReadonlyArray<string>,
  home: string,
  databaseUrl: Redacted.Redacted,
  peers: Readonly<Record<string, string>>
) =>
  program({
    args: services,
    environment: {
      NODE_ENV: "production",
      ALLOW_INSECURE: insecureUnderTest,
      GRAVITAS_HOME: home,
      DATABASE_URL: Redacted.value(databaseUrl),
      GUARDIAN_SIGNING_KEY: signingKey,
      PEER_TIMEOUT: "20s",
      ...peers
    }
  })

const ready = (url: string) => until(request(`${url}/readyz`), ({ status }) => status === 200)

/** A server that keeps the `Authorization` headers that it receives, and answers nothing of use. */
const fakeGuardian = Effect.map(
  Effect.acquireRelease(
    Effect.async<{ readonly server: Http.Server; readonly received: Array<string> }>((resume) => {
      const received: Array<string> = []
      const server = Http.createServer((message, response) => {
        received.push(String(message.headers.authorization))
        response.writeHead(500, { "content-type": "application/json" }).end("{}")
      }).listen(0, "127.0.0.1", () => resume(Effect.succeed({ server, received })))
    }),
    ({ server }) => Effect.sync(() => server.close())
  ),
  ({ received, server }) => ({ received, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` })
)

describe("services in processes of their own, in production", () => {
  it.scopedLive(
    "prove themselves by enrolled keys, and serve callers with tokens that each peer alone can use",
    () =>
      Effect.gen(function* () {
        const { databaseUrl, url } = yield* gatekeeper()
        const peers = { GATEKEEPER_URL: url }
        const homes = { guardian: yield* temporaryHome, router: yield* temporaryHome }
        const guardian = yield* apart(["guardian"], homes.guardian, databaseUrl, peers)
        // Until it is enrolled it waits, and says which command enrols it.
        const told = yield* guardian.printed(
          /The audit trail is kept by the gatekeeper.*gravitas service enroll guardian/
        )
        expect(told[0]).toContain("the key of service:guardian is not enrolled")
        for (const service of ["guardian", "router"] as const) {
          const x = yield* command(databaseUrl, ["service", "key", service], homes[service])
          yield* command(databaseUrl, ["service", "enroll", service, x])
        }
        const guardianUrl = yield* guardian.url("guardian")
        yield* ready(guardianUrl)
        const router = yield* apart(["router"], homes.router, databaseUrl, { ...peers, GUARDIAN_URL: guardianUrl })
        const routerUrl = yield* router.url("router")
        yield* ready(routerUrl)
        const admin = yield* Effect.promise(() => tokenOf("dan_flory"))
        const issued = yield* request(`${guardianUrl}/certificates`, { body: { agent: "dan_flory" }, token: admin })
        expect(issued.status, JSON.stringify(issued.body)).toBe(201)
        const answer = yield* request(`${routerUrl}/v1/chat/completions`, { body: chat, token: admin })
        expect(answer.status, JSON.stringify(answer.body)).toBe(200)
        const id = answer.headers.get("x-request-id")
        const rows = yield* until(
          rowsOf(
            databaseUrl,
            `select action, ghost_id, known.identity from gatekeeper.audit_log as log
             join gatekeeper.audit_source as known on known.source = log.source
             where request_id = $1 order by id`,
            [id]
          ),
          (found) => found.some((row) => row["action"] === "session.end")
        )
        const events = rows.map((row) => `${row["identity"]} ${row["action"]} ${row["ghost_id"]}`)
        expect(events).toContain("service:router route dan_flory")
        expect(events).toContain("service:guardian session.start dan_flory")
        expect(events).toContain("null execute dan_flory")
        const exchanged = yield* rowsOf(
          databaseUrl,
          "select distinct metadata ->> 'actor' as actor, metadata ->> 'audience' as audience from gatekeeper.audit_log where action = 'token.exchange' and result = 'ALLOWED'"
        )
        expect(exchanged.map((row) => `${row["actor"]} ${row["audience"]}`).toSorted()).toEqual([
          "service:guardian gatekeeper",
          "service:router gatekeeper",
          "service:router guardian"
        ])

        // A caller whose token is not valid gets what it gets in one process.
        for (const [path, body] of [
          [`${routerUrl}/v1/chat/completions`, chat],
          [`${guardianUrl}/validate`, { agent: "dan_flory" }]
        ] as const) {
          expect((yield* request(path, { body, token: "x.y.z" })).status).toBe(401)
          expect((yield* request(path, { body })).status).toBe(401)
        }
        expect((yield* sourcesOf(databaseUrl)).map((row) => row["identity"])).toEqual([
          "service:guardian",
          "service:router"
        ])
      }),
    180_000
  )

  it.scopedLive(
    "give a fake guardian nothing that it could use: neither the caller's token nor one for the gatekeeper",
    () =>
      Effect.gen(function* () {
        // A shared home: the router needs no enrolment.
        const home = yield* temporaryHome
        const { databaseUrl, url } = yield* gatekeeper(home)
        const fake = yield* fakeGuardian
        const router = yield* apart(["router"], home, databaseUrl, { GATEKEEPER_URL: url, GUARDIAN_URL: fake.url })
        const routerUrl = yield* router.url("router")
        yield* ready(routerUrl)
        const admin = yield* Effect.promise(() => tokenOf("dan_flory"))
        const answer = yield* request(`${routerUrl}/v1/chat/completions`, { body: chat, token: admin })
        expect(answer.status).toBe(503)
        expect(fake.received.length).toBeGreaterThan(0)
        expect((yield* request(`${url}/policy`, { token: admin })).status).toBe(200)
        for (const authorization of new Set(fake.received)) {
          const stolen = authorization.replace("Bearer ", "")
          expect(stolen).not.toBe(admin)
          expect(decodeJwt(stolen)).toMatchObject({ sub: "dan_flory", aud: "guardian" })
          for (const path of ["/policy", "/audit/events", "/audit/pipeline"]) {
            expect((yield* request(`${url}${path}`, { token: stolen })).status).toBe(401)
          }
          for (const [target, body] of [
            [`${url}/validate`, { resource: "vaults/public", action: "read" }],
            [`${url}/explain`, { resource: "vaults/public" }],
            [`${url}/audit/store/trail`, {}],
            // The router passes it on to be refused; it does not exchange what was not meant for it.
            [`${routerUrl}/v1/chat/completions`, chat]
          ] as const) {
            expect((yield* request(target, { body, token: stolen })).status, target).toBe(401)
          }
        }
      }),
    180_000
  )

  it.scopedLive(
    "do not start with the secret of agents' tokens, and ignore a token that others made",
    () =>
      Effect.gen(function* () {
        const databaseUrl = yield* migratedDatabase
        const home = yield* temporaryHome
        for (const setting of ["JWT_SECRET_KEY", "JWT_PREVIOUS_SECRET_KEYS"]) {
          const running = yield* apart(["guardian"], home, databaseUrl, {
            [setting]: "a-former-signing-secret-for-tests-long-enough"
          })
          expect((yield* running.ended()).code).toBe(1)
          expect(running.stderr()).toMatch(
            new RegExp(`${setting} must not be set.*gravitas service enroll guardian [\\w-]{43}`)
          )
        }
        const token = yield* Effect.promise(() => tokenOf("service:guardian"))
        const running = yield* apart(["guardian"], home, databaseUrl, { SERVICE_TOKEN: token })
        yield* running.printed(/SERVICE_TOKEN is ignored.*gravitas service enroll guardian [\w-]{43}/)
      }),
    120_000
  )
})
