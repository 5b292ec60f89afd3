import { createHash } from "node:crypto"
import { brotliCompressSync, gzipSync } from "node:zlib"
import { expect, layer } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { eventually } from "../support/Eventually.ts"
import { type Answer, Gravitas, request, rowNamedBy, tokenOf } from "../support/Gravitas.ts"

const administrator = "Supervisor_Managed_Agent"

const send = (service: "gatekeeper" | "guardian" | "router", path: string, body?: unknown) =>
  Effect.gen(function* () {
    const { program } = yield* Gravitas
    const token = yield* Effect.promise(() => tokenOf(administrator))
    return yield* request(`${yield* program.url(service)}${path}`, body === undefined ? { token } : { token, body })
  })

const user = { role: "user", content: "which shelf?" }

/** RFC 8785, as a reader of the trail would write it. */
const canonical = (value: unknown): string => {
  if (Array.isArray(value)) return `[${value.map(canonical).join(",")}]`
  if (typeof value !== "object" || value === null) return JSON.stringify(value)
  const members = Object.entries(value).toSorted(([a], [b]) => (a < b ? -1 : 1))
  return `{${members.map(([key, one]) => `${JSON.stringify(key)}:${canonical(one)}`).join(",")}}`
}

/** The hash that a row of the API must have. `identity` says who brought the row; it is not a part of it. */
const hashOf = ({ identity: _, leaf_hash: _hash, ...row }: Readonly<Record<string, unknown>>): string =>
  createHash("sha256").update(canonical(row)).digest("hex")

const objects = (value: unknown): ReadonlyArray<Readonly<Record<string, unknown>>> =>
  Array.isArray(value) ? value.map((one) => Object(one)) : []

const rowsOfApi = (query: string) =>
  Effect.map(send("gatekeeper", `/audit/events?limit=1000&${query}`), ({ body }) => objects(body["events"]))

const error = ({ body }: Answer) => Object(body["error"])

/** Members whose names, numbers and texts programs read in different ways. */
const awkward = `{
  "__proto__": {"a": 1, "__proto__": {"b": [9007199254740993]}}, "constructor": {"prototype": {"x": 1}}, "toString": "t",
  "hasOwnProperty": 1, "toJSON": "j", "valueOf": null, "10": "ten", "9": "nine", "": "empty", "café": 1, "cafe\\u0301": 2,
  "id": 9007199254740993, "ids": [1546130668394913822, 1, 0.1234567890123456789], "large": 1e400, "small": -0, "plain": 1.5e3,
  "floats": [1e21, 5e-324, 0.1, 333333333.33333329]
}`

const kept = {
  id: "9007199254740993",
  ids: ["1546130668394913822", 1, "0.1234567890123456789"],
  large: "1e400",
  plain: 1500,
  constructor: { prototype: { x: 1 } },
  floats: [1e21, 5e-324, 0.1, "333333333.33333329"]
}

layer(Gravitas.layer(), { timeout: "90 seconds", excludeTestServices: true })("A text means one thing", (it) => {
  it.effect("in every row of the trail: the API returns what was hashed, and numbers as they were written", () =>
    Effect.gen(function* () {
      const row = yield* Effect.flatMap(
        send("gatekeeper", "/validate", `{"action":"read","resource":"text/a","metadata":${awkward}}`),
        rowNamedBy
      )
      expect(row["metadata"]).toMatchObject(kept)
      expect(row["marks"]).toEqual(["metadata:number-as-text"])
      expect(JSON.stringify(row["metadata"])).toContain('"__proto__":{"a":1,"__proto__":{"b":["9007199254740993"]}}')
      yield* send("gatekeeper", "/validate", `{"action":"read","resource":"text/a","metadata":9007199254740993}`)
      const evaluation = `{"subject":{"type":"user","id":"alice"},"action":{"name":"read"},"resource":{"type":"text","id":"a"},
        "context":${awkward}}`
      yield* send("gatekeeper", "/access/v1/evaluation", evaluation)
      const event = `{"id":"text 1","action":"read","resource":"text/a","metadata":${awkward}}`
      const ingested = yield* send("gatekeeper", "/audit/events", `{"events":[${event}]}`)
      expect(objects(ingested.body["results"])).toMatchObject([
        { status: "recorded", marks: ["metadata:number-as-text"] }
      ])
      const rows = yield* eventually(rowsOfApi("resource=text/a"), ({ length }) => length === 4)
      for (const one of [...rows, ...(yield* rowsOfApi(""))])
        expect([one, hashOf(one)]).toEqual([one, one["leaf_hash"]])
      expect(rows.map((one) => Object(one["metadata"])).map((one) => one.claimed ?? one.context ?? one)).toEqual([
        expect.objectContaining(kept),
        expect.objectContaining(kept),
        expect.objectContaining({ value: "9007199254740993" }),
        expect.objectContaining(kept)
      ])
    })
  )

  it.effect("in a session's metadata: numbers are kept as texts, and the session and its row say so", () =>
    Effect.gen(function* () {
      yield* send("guardian", "/certificates", { agent: "Librarian" })
      const started = yield* send(
        "guardian",
        "/session/start",
        `{"agent":"Librarian","session_id":"text-1","metadata":${awkward}}`
      )
      expect(started.status).toBe(200)
      const [session] = objects((yield* send("guardian", "/sessions?agent=Librarian")).body["sessions"])
      expect(session?.["metadata"]).toMatchObject({
        ...kept,
        "number-as-text": expect.arrayContaining(["id", "ids.0", "ids.2", "large", "__proto__.__proto__.b.0"])
      })
      expect(JSON.stringify(session)).toContain('"__proto__":{"a":1,')
      const [row] = yield* eventually(rowsOfApi("action=session.start"), ({ length }) => length === 1)
      expect(row?.["marks"]).toEqual(["metadata:number-as-text"])
    })
  )

  it.effect("or is refused: a key that an object has twice is named, and has its row", () =>
    Effect.gen(function* () {
      for (const [service, path, body, status, key] of [
        ["gatekeeper", "/validate", '{"resource":"vaults/a","re\\u0073ource":"vaults/b"}', 422, "resource"],
        ["gatekeeper", "/validate", '{"resource":"vaults/a","metadata":{"b":{"c":1,"c":1}}}', 422, "c"],
        ["gatekeeper", "/explain", '{"action":"a","action":"b","resource":"a"}', 422, "action"],
        ["gatekeeper", "/access/v1/evaluation", '{"context":{"a":1,"a":2}}', 400, "a"],
        ["gatekeeper", "/access/v1/evaluations", '{"options":{},"options":{}}', 400, "options"],
        ["gatekeeper", "/audit/events", '{"events":[{"id":"1","id":"2"}]}', 422, "id"],
        ["guardian", "/certificates", '{"agent":"a","valid_for":"1d","valid_for":"9d"}', 422, "valid_for"],
        ["guardian", "/session/start", '{"agent":"a","session_id":"s","agent":"b"}', 422, "agent"],
        ["router", "/v1/chat/completions", '{"model":"auto","model":"echo","messages":[]}', 400, "model"]
      ] as const) {
        const answer = yield* send(service, path, body)
        expect([path, answer.status, error(answer).message]).toEqual([
          path,
          status,
          expect.stringContaining(`has the key ${JSON.stringify(key)} twice`)
        ])
        expect(yield* rowNamedBy(answer)).toMatchObject({
          result: "INVALID",
          reason: expect.stringContaining(`the key ${JSON.stringify(key)} twice`)
        })
      }
    })
  )

  it.effect("or is refused: a field that may be a misspelt one is named, and nothing is done", () =>
    Effect.gen(function* () {
      for (const [service, path, body, status, field] of [
        ["guardian", "/certificates", { agent: "Scout", expires: "2030-01-01T00:00:00Z" }, 422, "expires"],
        ["guardian", "/certificates", { agent: "Scout", validFor: "1d" }, 422, "validFor"],
        ["guardian", "/session/heartbeat", { session_id: "text-1", agent_id: "Librarian" }, 422, "agent_id"],
        ["gatekeeper", "/explain", { resource: "a", ghost: "Scout" }, 422, "ghost"],
        ["gatekeeper", "/ghosts/Scout/stop", { Reason: "a test" }, 422, "Reason"],
        ["gatekeeper", "/validate", { actoin: "write", resource: "a" }, 422, "actoin"],
        ["router", "/v1/chat/completions", { model: "echo", messages: [user], forceTier: "L1" }, 400, "forceTier"]
      ] as const) {
        const answer = yield* send(service, path, body)
        expect([path, answer.status, error(answer).message]).toEqual([
          path,
          status,
          expect.stringContaining(`unknown field ${JSON.stringify(field)}`)
        ])
        expect((yield* rowNamedBy(answer))["result"]).toBe("INVALID")
      }
      expect((yield* send("guardian", "/certificates?agent=Scout")).body).toMatchObject({ total: 0 })
    })
  )

  it.effect("also where it is compressed: on every port, or refused with what is accepted", () =>
    Effect.gen(function* () {
      const { program } = yield* Gravitas
      const authorization = `Bearer ${yield* Effect.promise(() => tokenOf(administrator))}`
      const post = (url: string, encoding: string, body: Uint8Array) =>
        Effect.promise(async () => {
          const headers = { authorization, "content-encoding": encoding, "content-type": "application/json" }
          const answer = await fetch(url, { method: "POST", headers, body })
          const text: unknown = await answer.json()
          return { status: answer.status, accepts: answer.headers.get("accept-encoding"), body: Object(text) }
        })
      const gatekeeper = yield* program.url("gatekeeper")
      for (const [service, path, body, status] of [
        ["gatekeeper", "/validate", { resource: "text/b" }, 200],
        ["gatekeeper", "/explain", { resource: "text/b" }, 200],
        ["gatekeeper", "/audit/events", { events: [{ id: "zip", action: "a", resource: "b" }] }, 200],
        ["guardian", "/validate", { agent: "uncertified" }, 403],
        ["router", "/v1/chat/completions", { model: "no such model", messages: [{ role: "user", content: "a" }] }, 404]
      ] as const) {
        const url = `${yield* program.url(service)}${path}`
        const json = Buffer.from(JSON.stringify(body))
        for (const zipped of [gzipSync(json), brotliCompressSync(json)]) {
          const encoding = zipped[0] === 0x1f ? "gzip" : "br"
          expect([path, encoding, (yield* post(url, encoding, zipped)).status]).toEqual([path, encoding, status])
        }
        const refused = yield* post(url, "snappy", json)
        expect(refused).toMatchObject({ status: 415, accepts: expect.stringMatching(/^gzip, br, deflate/) })
        expect(refused.body.error.code).toBe("unsupported_media_type")
      }
      const bomb = yield* post(`${gatekeeper}/validate`, "gzip", gzipSync(Buffer.alloc(50_000_000, " ")))
      expect(bomb).toMatchObject({ status: 413, body: { error: { code: "body_too_large" } } })
      const plain = yield* post(`${gatekeeper}/validate`, "gzip", Buffer.from('{"resource":"text/b"}'))
      expect(plain).toMatchObject({ status: 422, body: { error: { message: expect.stringContaining("is not gzip") } } })
    })
  )
})
