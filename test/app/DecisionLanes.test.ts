import * as Net from "node:net"
import { expect, layer } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as FastCheck from "effect/FastCheck"
import * as Predicate from "effect/Predicate"
import * as Schedule from "effect/Schedule"
import parse from "parse-prometheus-text-format"
import { authZenProgram } from "../support/AuthZen.ts"
import { Gravitas, request, rowsOf, tokenOf } from "../support/Gravitas.ts"

/** Each path as the fast lane takes it, and with a query, which only the router takes. */
const spellings = [
  ["/validate", "/validate?slow"],
  ["/access/v1/evaluation", "/access/v1/evaluation?slow"],
  ["/access/v1/evaluations", "/access/v1/evaluations?slow"]
] as const
type Lane = 0 | 1

interface GeneratedRequest {
  readonly path: (typeof spellings)[number]
  readonly headers: ReadonlyArray<string>
  readonly body: Buffer
  readonly framing: "length" | "chunked" | "too short" | "trickle"
}

const nested = (depth: number): string => `${'{"a":'.repeat(depth)}1${"}".repeat(depth)}`

const text = FastCheck.oneof(
  FastCheck.constantFrom("alice", "bob", "record-1", "read", "write", "vaults/public", "a/../b", "", "\u0000", "ü"),
  FastCheck.string({ unit: "binary", maxLength: 8 }),
  FastCheck.integer({ min: 98, max: 257 }).map((length) => "a".repeat(length))
)
const value = FastCheck.oneof({ weight: 6, arbitrary: text }, { weight: 1, arbitrary: FastCheck.jsonValue() })
const access = FastCheck.record(
  { action: value, resource: value, metadata: FastCheck.jsonValue() },
  { requiredKeys: [] }
)
const entity = FastCheck.record({ type: value, id: value, properties: FastCheck.jsonValue() }, { requiredKeys: [] })
const soundEntity = FastCheck.record({ type: FastCheck.constant("user"), id: FastCheck.constantFrom("alice", "bob") })
const soundAction = FastCheck.record({ name: FastCheck.constantFrom("read", "write") })
const soundEvaluation = FastCheck.record({ subject: soundEntity, action: soundAction, resource: soundEntity })
const evaluation = FastCheck.oneof(
  soundEvaluation,
  FastCheck.record(
    { subject: entity, action: FastCheck.record({ name: value }), resource: entity, context: FastCheck.jsonValue() },
    { requiredKeys: [] }
  )
)
const semantic = FastCheck.constantFrom("execute_all", "deny_on_first_deny", "permit_on_first_permit", "none")
const batch = FastCheck.record(
  {
    subject: soundEntity,
    evaluations: FastCheck.array(evaluation, { maxLength: 12 }),
    options: FastCheck.record({ evaluations_semantic: semantic })
  },
  { requiredKeys: ["evaluations"] }
)

const malformed = FastCheck.constantFrom(
  "",
  "null",
  "[]",
  "7",
  '{"resource":',
  '{"resource":"a"} {}',
  '{"resource":"a","resource":"b"}',
  '{"__proto__":{"resource":"a"},"resource":"vaults/public","metadata":{"__proto__":1}}',
  "\ufeff{}",
  `{"resource":"a","metadata":${nested(40)}}`,
  nested(2_000),
  `{"resource":"${"a".repeat(70_000)}"}`,
  `{"resource":"a","metadata":{"text":"${"\u2028".repeat(20_000)}"}}`
)
const body = FastCheck.oneof(
  { weight: 6, arbitrary: FastCheck.oneof(access, evaluation, batch).map((one) => Buffer.from(JSON.stringify(one))) },
  { weight: 2, arbitrary: malformed.map((one) => Buffer.from(one)) },
  { weight: 1, arbitrary: FastCheck.uint8Array({ maxLength: 40 }).map((bytes) => Buffer.from(bytes)) }
)

const contentType = FastCheck.constantFrom(
  "content-type: application/json",
  "content-type: application/json",
  "Content-Type: Application/JSON; charset=utf-8",
  "content-type: text/plain",
  "content-encoding: gzip",
  "accept: text/html"
)
const extra = FastCheck.constantFrom(
  "accept: */*",
  "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
  "traceparent: 00-00000000000000000000000000000000-b7ad6b7169203331-01",
  "expect: 100-continue",
  "expect: miracles",
  "x-http-method-override: GET",
  "cookie: a=b"
)

const authorization = (tokens: ReadonlyArray<string>) =>
  FastCheck.oneof(
    { weight: 6, arbitrary: FastCheck.constantFrom(...tokens).map((token) => `authorization: Bearer ${token}`) },
    {
      weight: 2,
      arbitrary: FastCheck.constantFrom(
        "x-nothing: 1",
        "authorization:",
        "authorization: Basic YTpi",
        `authorization: bearer  ${tokens[0]} `,
        `authorization: Bearer ${tokens[0]}x`,
        `authorization: Bearer ${"a".repeat(9_000)}`,
        `authorization: Bearer ${tokens[0]}\r\nauthorization: Bearer ${tokens[1]}`
      )
    }
  )

const generated = (tokens: ReadonlyArray<string>) =>
  FastCheck.record({
    path: FastCheck.constantFrom(...spellings),
    headers: FastCheck.tuple(authorization(tokens), contentType, extra),
    body,
    framing: FastCheck.constantFrom("length", "length", "length", "chunked", "trickle")
  }) satisfies FastCheck.Arbitrary<GeneratedRequest>

const chunked = (bytes: Buffer): ReadonlyArray<Buffer> => {
  const middle = Math.floor(bytes.length / 2)
  const chunk = (part: Buffer) =>
    part.length === 0 ? [] : [Buffer.from(`${part.length.toString(16)}\r\n`), part, Buffer.from("\r\n")]
  return [...chunk(bytes.subarray(0, middle)), ...chunk(bytes.subarray(middle)), Buffer.from("0\r\n\r\n")]
}

/** The request's bytes, in the pieces in which they are sent. */
const piecesOf = (one: GeneratedRequest, lane: Lane, id: string): ReadonlyArray<Buffer> => {
  const framing =
    one.framing === "chunked"
      ? "transfer-encoding: chunked"
      : `content-length: ${one.body.length + (one.framing === "too short" ? 10 : 0)}`
  const head = Buffer.from(
    [`POST ${one.path[lane]} HTTP/1.1`, "host: x", "connection: close", `x-request-id: ${id}`, framing, ...one.headers]
      .map((text) => `${text}\r\n`)
      .join("")
      .concat("\r\n")
  )
  if (one.framing === "chunked") return [Buffer.concat([head, ...chunked(one.body)])]
  if (one.framing === "trickle") return [head, one.body.subarray(0, 5), one.body.subarray(5)]
  return [Buffer.concat([head, one.body])]
}

/** Sends the pieces and returns all that comes back; hangs up after them if `hangsUp`. */
const exchange = (port: number, pieces: ReadonlyArray<Buffer>, hangsUp = false) =>
  Effect.async<string>((resume) => {
    const received: Array<Buffer> = []
    const socket = Net.connect(port, "127.0.0.1")
    socket.on("data", (chunk) => received.push(chunk))
    socket.once("close", () => resume(Effect.succeed(Buffer.concat(received).toString("utf8"))))
    socket.on("error", () => {})
    socket.setNoDelay(true)
    const sendFrom = (index: number): void => {
      const piece = pieces[index]
      if (piece !== undefined) socket.write(piece, () => setImmediate(sendFrom, index + 1))
      else if (hangsUp) socket.destroy()
    }
    socket.once("connect", () => sendFrom(0))
  })

const uuid = /[0-9a-f]{8}-[0-9a-f]{4}-[47][0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}/g

/** The answer without its ids, its time, and the number of its request. */
const comparable = (answer: string): string =>
  answer
    .replace(/^date: .*\r\n/im, "")
    .replaceAll(uuid, "<id>")
    .replaceAll(/lane-[01]-/g, "lane-")

const continued = /^HTTP\/1\.1 100 Continue\r\n\r\n/

const laneId = (lane: Lane, index: number): string => `lane-${lane}-${index}`

/** A trace that the server began, since the client named none. */
const ownTrace = /(?<=trace_id\W+)(?!0af7651916cd43dd8448eb211c80319c)[0-9a-f]{32}/

/** The rows of a lane's requests, without what differs between any two rows. */
const rowsOfLane = (lane: Lane) =>
  Effect.gen(function* () {
    const { databaseUrl } = yield* Gravitas
    const query = "select * from gatekeeper.audit_log where request_id like $1 order by source, seq"
    const rows = yield* rowsOf(databaseUrl, query, [`lane-${lane}-%`])
    return rows
      .map(({ id: _id, leaf_hash: _hash, request_id, seq: _seq, timestamp: _time, ...row }) => {
        const request = String(request_id).slice(`lane-${lane}-`.length)
        return JSON.stringify({ request, ...row }).replace(ownTrace, "<trace>")
      })
      .toSorted()
  })

/** Waits until all recorded events are in the table. */
const settled = Effect.gen(function* () {
  const { gatekeeper } = yield* Gravitas
  yield* request(`${gatekeeper}/health`).pipe(
    Effect.filterOrFail(({ body }) => Predicate.isRecord(body["audit"]) && body["audit"]["depth"] === 0),
    Effect.retry(Schedule.spaced("50 millis").pipe(Schedule.upTo("30 seconds"))),
    Effect.orDieWith(() => new Error("the rows did not reach the table"))
  )
})

/** How often each route was answered with each status, and how many answers the histogram of each route counts. */
const requestCounts = Effect.gen(function* () {
  const { gatekeeper } = yield* Gravitas
  const page = yield* Effect.promise(() => fetch(`${gatekeeper}/metrics`).then((response) => response.text()))
  const counts = new Map<string, number>()
  for (const family of parse(page)) {
    for (const { count, labels, value } of family.metrics) {
      if (labels?.["service"] !== "gatekeeper" || labels["route"] === "/metrics") continue
      if (/^http_server_request(s_total|_duration_seconds)$/.test(family.name))
        counts.set(`${family.name} ${JSON.stringify(labels)}`, Number(count ?? value))
    }
  }
  return counts
})

const difference = (before: ReadonlyMap<string, number>, after: ReadonlyMap<string, number>) =>
  [...after].flatMap(([key, count]) => {
    const more = count - (before.get(key) ?? 0)
    return more === 0 ? [] : [`${key} ${more}`]
  })

const total = (counts: ReadonlyMap<string, number>): number =>
  [...counts].reduce((sum, [key, count]) => (key.includes("requests_total") ? sum + count : sum), 0)

layer(authZenProgram("authzen-policy.yaml"), { timeout: "60 seconds", excludeTestServices: true })(
  "The two lanes of a decision",
  (it) => {
    it.effect(
      "give the same answers, rows and metrics to some thousand generated requests",
      () =>
        Effect.gen(function* () {
          const { gatekeeper } = yield* Gravitas
          const port = Number(new URL(gatekeeper).port)
          const tokens = yield* Effect.promise(() =>
            Promise.all([tokenOf("Enforcer"), tokenOf("alice"), tokenOf("Enforcer", -60)])
          )
          const requests = FastCheck.sample(generated(tokens), { numRuns: 1_500, seed: 12 })
          const run = (lane: Lane) =>
            Effect.gen(function* () {
              const before = yield* requestCounts
              const answers = yield* Effect.forEach(
                requests,
                (one, index) => exchange(port, piecesOf(one, lane, laneId(lane, index))),
                { concurrency: 8 }
              )
              const after = yield* requestCounts.pipe(
                Effect.repeat({ until: (counts) => total(counts) - total(before) >= requests.length })
              )
              return { answers: answers.map(comparable), counted: difference(before, after) }
            })
          const fast = yield* run(0)
          const slow = yield* run(1)
          expect(fast.answers).toEqual(slow.answers)
          expect(fast.counted).toEqual(slow.counted)
          const statuses = new Set(fast.answers.map((answer) => answer.replace(continued, "").split(" ")[1]))
          expect(statuses).toEqual(new Set(["200", "400", "401", "403", "413", "422"]))
          yield* settled
          const rows = yield* rowsOfLane(0)
          expect(rows.length).toBeGreaterThan(requests.length)
          expect(yield* rowsOfLane(1)).toEqual(rows)
        }),
      120_000
    )

    it.effect("record nothing of a client that hangs up within its body, and count it with 499", () =>
      Effect.gen(function* () {
        const { gatekeeper } = yield* Gravitas
        const port = Number(new URL(gatekeeper).port)
        const token = yield* Effect.promise(() => tokenOf("Enforcer"))
        const one: GeneratedRequest = {
          path: spellings[0],
          headers: [`authorization: Bearer ${token}`],
          body: Buffer.from('{"resource":"a"}'),
          framing: "too short"
        }
        const counted = (lane: Lane) =>
          Effect.gen(function* () {
            const before = yield* requestCounts
            yield* exchange(port, piecesOf(one, lane, `hung-up-${lane}`), true)
            const after = yield* requestCounts.pipe(Effect.repeat({ until: (counts) => total(counts) > total(before) }))
            return difference(before, after)
          })
        const fast = yield* counted(0)
        expect(fast.join()).toContain('"status":"499"')
        expect(yield* counted(1)).toEqual(fast)
        const { databaseUrl } = yield* Gravitas
        yield* exchange(port, piecesOf({ ...one, framing: "length" }, 0, "hung-up-after"))
        const query = "select request_id from gatekeeper.audit_log where request_id like 'hung-up-%'"
        yield* rowsOf(databaseUrl, query).pipe(
          Effect.filterOrFail((rows) => rows.length > 0),
          Effect.retry(Schedule.spaced("50 millis").pipe(Schedule.upTo("30 seconds"))),
          Effect.map((rows) => expect(rows).toEqual([{ request_id: "hung-up-after" }]))
        )
      })
    )
  }
)
