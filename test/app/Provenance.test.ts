import * as Net from "node:net"
import { expect, layer } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { originMembers, reservedMembers } from "../../src/domain/AuditEvent.ts"
import { authZenProgram, user } from "../support/AuthZen.ts"
import { type Answer, Gravitas, request, rowNamedBy, tokenOf } from "../support/Gravitas.ts"

const forged = Object.fromEntries(reservedMembers.map((name) => [name, "by the Supervisor"]))

const post = (ghost: string, path: string, body: unknown, headers: Readonly<Record<string, string>> = {}) =>
  Effect.gen(function* () {
    const { gatekeeper } = yield* Gravitas
    const token = yield* Effect.promise(() => tokenOf(ghost))
    return yield* request(`${gatekeeper}${path}`, { token, body, headers })
  })

/** The answer to bytes that `fetch` would not send. */
const rawAnswer = (url: string, head: ReadonlyArray<string>) =>
  Effect.async<string>((resume) => {
    const { hostname, port } = new URL(url)
    let text = ""
    const socket = Net.connect({ host: hostname, port: Number(port) }, () =>
      socket.write([...head, "connection: close", "", ""].join("\r\n"))
    )
    socket.setEncoding("utf8").on("data", (chunk) => {
      text += chunk
    })
    socket.once("close", () => resume(Effect.succeed(text)))
    socket.once("error", () => resume(Effect.succeed(text)))
  })

layer(authZenProgram("authzen-policy.yaml"), { timeout: "60 seconds", excludeTestServices: true })(
  "A row of the trail",
  (it) => {
    it.effect("has no member of the program's own that a caller sent, on either lane", () =>
      Effect.gen(function* () {
        const metadata = { ...forged, model: "gemma2:27b", inner: { asked_by: "within" } }
        for (const path of ["/validate", "/validate?slow"]) {
          for (const body of [
            { action: "read", resource: "record/1", metadata },
            { action: "read", resource: "../1", metadata },
            { resource: 7, metadata }
          ]) {
            const row = yield* Effect.flatMap(post("alice", path, body), rowNamedBy)
            expect(row["metadata"]).toEqual({
              model: "gemma2:27b",
              inner: { asked_by: "within" },
              trace_id: expect.stringMatching(/^[0-9a-f]{32}$/)
            })
            expect(row["marks"]).toContain("metadata:reserved")
          }
        }
      })
    )

    it.effect("has the caller's word on an AuthZEN question where the program puts it, and nowhere else", () =>
      Effect.gen(function* () {
        const answer = yield* post("Enforcer", "/access/v1/evaluation", {
          ...forged,
          subject: { ...forged, ...user("alice"), properties: {} },
          action: { ...forged, name: "read", properties: {} },
          resource: { ...forged, type: "record", id: "record-1", properties: { asked_by: "within" } },
          context: { asked_by: "within", password: "s3cr3t" }
        })
        const context = answer.body["context"] as Answer["body"]
        const row = yield* rowNamedBy({ ...answer, body: context })
        expect(row["metadata"]).toEqual({
          asked_by: "Enforcer",
          subject_type: "user",
          context: { asked_by: "within", password: "[masked]" },
          properties: { resource: { asked_by: "within" }, subject: {}, action: {} },
          trace_id: expect.any(String)
        })
      })
    )

    it.effect("marks the ids that came with the request, and no others", () =>
      Effect.gen(function* () {
        const traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
        const marksWith = (path: string, headers: Readonly<Record<string, string>>) =>
          Effect.map(Effect.flatMap(post("alice", path, { resource: "a" }, headers), rowNamedBy), (row) => row["marks"])
        for (const path of ["/validate", "/validate?slow"]) {
          expect(yield* marksWith(path, {})).toEqual([])
          expect(yield* marksWith(path, { "x-request-id": "mine" })).toEqual(["request_id:given"])
          expect(yield* marksWith(path, { traceparent })).toEqual(["trace_id:given"])
          const both = ["request_id:given", "trace_id:given"]
          expect(yield* marksWith(path, { traceparent, "x-request-id": "mine" })).toEqual(both)
          expect(yield* marksWith(path, { traceparent: "00-0-0-01", "x-request-id": "a b" })).toEqual([])
        }
      })
    )

    it.effect("takes no word of a client on which ids came with its request", () =>
      Effect.gen(function* () {
        const { gatekeeper } = yield* Gravitas
        for (const name of [":given-ids", ": given-ids"]) {
          const answer = yield* rawAnswer(gatekeeper, ["GET /healthz HTTP/1.1", "host: a", `${name}: both`])
          expect(answer).toMatch(/^HTTP\/1.1 400/)
        }
      })
    )
  }
)

layer(Gravitas.layer(), { timeout: "60 seconds", excludeTestServices: true })("A row that is brought or read", (it) => {
  it.effect("has a client's metadata under its claim, without the names of an origin", () =>
    Effect.gen(function* () {
      const ghost = "service:guardian"
      const events = [{ id: "forged", action: "a", resource: "b", metadata: { ...forged, token: "s3cr3t" } }]
      const answer = yield* post(ghost, "/audit/events", { events })
      const [result] = answer.body["results"] as ReadonlyArray<{ readonly audit_id: string }>
      const row = yield* rowNamedBy({ ...answer, body: { audit_id: result?.audit_id } })
      const kept = reservedMembers.filter((name) => !originMembers.some((one) => one === name))
      expect(row["metadata"]).toEqual({
        claimed: { ...Object.fromEntries(kept.map((name) => [name, forged[name]])), token: "[masked]" },
        ingest: { by: ghost, id: "forged", occurred_at: null }
      })
      expect(row["marks"]).toEqual(["metadata:masked", "metadata:reserved"])
    })
  )

  it.effect("holds no secret of a query, whether the request is valid or not", () =>
    Effect.gen(function* () {
      const { gatekeeper } = yield* Gravitas
      const token = yield* Effect.promise(() => tokenOf("Supervisor_Managed_Agent"))
      const answer = yield* request(`${gatekeeper}/audit/events?access_token=s3cr3t&limit=1`, { token })
      expect(answer.status).toBe(422)
      expect((yield* rowNamedBy(answer))["metadata"]).toMatchObject({ query: "access_token=[masked]&limit=1" })
      expect(JSON.stringify(answer.body)).not.toContain("s3cr3t")
    })
  )
})
