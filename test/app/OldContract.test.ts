import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { expect, layer } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Schema from "effect/Schema"
import { SignJWT } from "jose"
import { Gravitas, request, rowsOf, signingSecret } from "../support/Gravitas.ts"
import { untoldIn } from "../support/OpenApiReading.ts"
import { project } from "../support/Program.ts"
import { gatekeeperRequests } from "./contract/GatekeeperRequests.ts"
import { guardianRequests } from "./contract/GuardianRequests.ts"
import type { OldAnswer, OldRequest } from "./contract/OldRequest.ts"
import { models, routerRequests } from "./contract/RouterRequests.ts"

const directory = mkdtempSync(join(tmpdir(), "gravitas-contract-"))
process.once("exit", () => rmSync(directory, { recursive: true, force: true }))
const modelsFile = join(directory, "models.yaml")
writeFileSync(modelsFile, models)

/** As the old system's issuer made them. */
const oldToken = (ghost: string) =>
  Effect.promise(() =>
    new SignJWT({ groups: [] })
      .setProtectedHeader({ alg: "HS256", typ: "JWT" })
      .setSubject(ghost)
      .setIssuedAt()
      .setExpirationTime("24h")
      .sign(new TextEncoder().encode(signingSecret))
  )

/** A stream of events as an object of them, and of the word at its end. */
const eventsOf = (text: string) => {
  const data = text.split("\n\n").flatMap((event) => (event.startsWith("data: ") ? [event.slice("data: ".length)] : []))
  return { events: data.slice(0, -1).map((one): unknown => JSON.parse(one)), ending: data.at(-1) }
}

const send = ({ as, authorization, body, route, service }: OldRequest) =>
  Effect.gen(function* () {
    const { program } = yield* Gravitas
    const [method = "", path = ""] = route.split(" ")
    const url = yield* program.url(service)
    const token = as === undefined ? "" : yield* oldToken(as)
    const header = authorization?.(token) ?? (as === undefined ? undefined : `Bearer ${token}`)
    return yield* Effect.promise(async (signal) => {
      const response = await fetch(`${url}${path}`, {
        method,
        signal,
        headers: { "content-type": "application/json", ...(header === undefined ? {} : { authorization: header }) },
        ...(body === undefined ? {} : { body: typeof body === "string" ? body : JSON.stringify(body) })
      })
      const text = await response.text()
      const contentType = response.headers.get("content-type")?.split(";")[0] ?? ""
      const isStream = contentType === "text/event-stream"
      const document: unknown = await (await fetch(`${url}/openapi.json`, { signal })).json()
      const told = { status: response.status, contentType, body: isStream ? text : (JSON.parse(text) as unknown) }
      return {
        status: response.status,
        body: isStream ? eventsOf(text) : told.body,
        untold: untoldIn(document, { method, path: path.split("?")[0] ?? "" }, told)
      }
    })
  })

const answersAs = ({ fields, status }: OldAnswer, answer: { readonly status: number; readonly body: unknown }) =>
  answer.status !== status
    ? `${answer.status} instead of ${status}: ${JSON.stringify(answer.body)}`
    : Either.match(Schema.decodeUnknownEither(fields)(answer.body), {
        onLeft: (problem) => `${problem.message}\nin ${JSON.stringify(answer.body)}`,
        onRight: () => "as it should"
      })

const oldRequests = [...gatekeeperRequests, ...guardianRequests, ...routerRequests]

const columnsOf = (schema: string, table: string) =>
  Effect.gen(function* () {
    const { databaseUrl } = yield* Gravitas
    const rows = yield* rowsOf(
      databaseUrl,
      "select column_name from information_schema.columns where table_schema = $1 and table_name = $2",
      [schema, table]
    )
    return rows.map((row) => row["column_name"])
  })

const running = Gravitas.layer({ environment: { ROUTER_MODELS_PATH: modelsFile } })

layer(running, { timeout: "60 seconds", excludeTestServices: true })("what clients of the old system send", (it) => {
  it.effect("finds the agents that were certified there certified", () =>
    Effect.gen(function* () {
      const { program } = yield* Gravitas
      const guardian = yield* program.url("guardian")
      const token = yield* oldToken("Supervisor_Managed_Agent")
      for (const agent of ["Supervisor_Managed_Agent", "Librarian", "Stranger"]) {
        expect((yield* request(`${guardian}/certificates`, { token, body: { agent } })).status).toBe(201)
      }
    })
  )

  for (const old of oldRequests) {
    const { differs, ...before } = old
    const how = differs === undefined ? "as before" : `otherwise than before: ${differs.line}`
    it.effect(`${old.service}, ${old.route}: ${old.name}, is answered ${how}`, () =>
      Effect.gen(function* () {
        const answer = yield* send(old)
        expect(answersAs({ ...before, ...differs }, answer)).toBe("as it should")
        // The document of the service says so.
        expect(answer.untold).toEqual([])
        // A difference that is gone must not be told of any more.
        if (differs !== undefined) expect(answersAs(before, answer)).not.toBe("as it should")
      })
    )
  }

  it.effect("is answered otherwise only as docs/old-clients.md says, and all that it says is so", () =>
    Effect.sync(() => {
      const text = readFileSync(join(project, "docs/old-clients.md"), "utf8")
      const told = [...text.matchAll(/^\| ([a-z-]+) \|/gm)].flatMap(([, line]) => (line === "difference" ? [] : [line]))
      const found = new Set(oldRequests.flatMap(({ differs }) => (differs === undefined ? [] : [differs.line])))
      expect(told.toSorted()).toEqual([...found].toSorted())
    })
  )

  it.effect("finds the lines of the old log", () =>
    Effect.gen(function* () {
      const { program } = yield* Gravitas
      for (const line of ["Audit background worker started.", "Gatekeeper schema versioned"]) {
        expect(program.stdout()).toContain(line)
      }
    })
  )

  it.effect("finds the columns of the old tables", () =>
    Effect.gen(function* () {
      const audit = ["id", "timestamp", "ghost_id", "shell_id", "action", "resource", "result", "reason", "metadata"]
      expect(yield* columnsOf("gatekeeper", "audit_log")).toEqual(expect.arrayContaining(audit))
      const badges = ["id", "ghost_id", "badge_name", "granted_at"]
      expect(yield* columnsOf("guardian", "agent_badges")).toEqual(expect.arrayContaining(badges))
      const history = ["id", "role", "content", "ghost_id", "shell_id", "timestamp"]
      expect(yield* columnsOf("router", "history")).toEqual(expect.arrayContaining(history))
    })
  )
})
