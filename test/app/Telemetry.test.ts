import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import { request, rowsOf, signingSecret, tokenOf } from "../support/Gravitas.ts"
import { type OtlpReceiver, otlpReceiver, type Span } from "../support/OtlpReceiver.ts"
import { program } from "../support/Program.ts"
import { migratedDatabase } from "../support/TestDatabase.ts"

const traceId = "4bf92f3577b34da6a3ce929d0e0e4736"
const parentId = "00f067aa0ba902b7"
const traceparent = `00-${traceId}-${parentId}-01`

const started = (environment: Readonly<Record<string, string>>) =>
  Effect.gen(function* () {
    const databaseUrl = yield* migratedDatabase
    const running = yield* program({
      args: ["gatekeeper"],
      environment: { DATABASE_URL: Redacted.value(databaseUrl), JWT_SECRET_KEY: signingSecret, ...environment }
    })
    const url = yield* running.url("gatekeeper")
    const token = yield* Effect.promise(() => tokenOf("Librarian"))
    const validate = (
      headers: Readonly<Record<string, string>> = {},
      body: unknown = { action: "read", resource: "vaults/a" }
    ) => request(`${url}/validate`, { token, body, headers })
    return { running, validate, databaseUrl }
  })

/** What is left is sent at the end, within a share of its deadline: here one that a busy machine does not pass. */
const exportingTo = ({ url }: OtlpReceiver, more: Readonly<Record<string, string>> = {}) =>
  started({ OTEL_EXPORTER_OTLP_ENDPOINT: url, SHUTDOWN_DEADLINE: "5m", ...more })

const attributesOf = (span: Span | undefined) =>
  Object.fromEntries((span?.attributes ?? []).map(({ key, value }) => [key, Object.values(value)[0]]))

describe("telemetry", () => {
  it.scopedLive(
    "sends traces, metrics and logs at the end, with the trace that the client named",
    () =>
      Effect.gen(function* () {
        const receiver = yield* otlpReceiver()
        const { databaseUrl, running, validate } = yield* exportingTo(receiver, {
          OTEL_EXPORTER_OTLP_HEADERS: "x-api-key=of%20the%20receiver",
          OTEL_SERVICE_NAME: "gravitas-under-test",
          OTEL_RESOURCE_ATTRIBUTES: "deployment.environment.name=test"
        })
        const answer = yield* validate({ traceparent, "x-request-id": "request-9" })
        expect(answer.status).toBe(200)
        yield* running.signal("SIGTERM")
        expect((yield* running.ended()).code).toBe(0)
        const [span, ...others] = receiver.spans().filter((one) => one.kind === 2)
        expect(others).toEqual([])
        expect(span).toMatchObject({ traceId, parentSpanId: parentId, name: "POST /validate" })
        expect(attributesOf(span)).toMatchObject({
          "http.route": "/validate",
          "gravitas.service": "gatekeeper",
          "gravitas.request_id": "request-9",
          "http.response.status_code": 200
        })
        expect(receiver.spans().filter((one) => one.traceId !== traceId)).toEqual([])
        expect([...receiver.metricNames()]).toEqual(
          expect.arrayContaining(["http_server_requests", "audit_events_offered"])
        )
        expect(receiver.logLines().join("\n")).toContain("Gatekeeper closed its port.")
        expect(new Set(receiver.headers().map((headers) => headers["x-api-key"]))).toEqual(new Set(["of the receiver"]))
        expect(JSON.stringify(receiver.resources())).toContain("gravitas-under-test")
        expect(JSON.stringify(receiver.resources())).toContain("deployment.environment.name")
        expect(JSON.stringify(receiver.resources())).toMatch(/service\.instance\.id[^}]*[0-9a-f]{8}-[0-9a-f-]{27}/)
        expect(running.output()).not.toContain("of the receiver")
        expect(JSON.stringify(receiver.spans())).not.toContain("Bearer")
        const rows = yield* rowsOf(databaseUrl, "select metadata ->> 'trace_id' as trace from gatekeeper.audit_log")
        expect(rows).toEqual([{ trace: traceId }])
      }),
    60_000
  )

  it.scopedLive(
    "names in the row the trace that it began where the client named none",
    () =>
      Effect.gen(function* () {
        const receiver = yield* otlpReceiver()
        const { databaseUrl, running, validate } = yield* exportingTo(receiver)
        yield* validate()
        yield* running.signal("SIGTERM")
        yield* running.ended()
        const roots = receiver.spans().filter((one) => one.kind === 2)
        expect(roots.length).toBe(1)
        expect(roots[0]?.parentSpanId).toBeUndefined()
        const rows = yield* rowsOf(databaseUrl, "select metadata ->> 'trace_id' as trace from gatekeeper.audit_log")
        expect(rows).toEqual([{ trace: roots[0]?.traceId }])
      }),
    60_000
  )

  it.scopedLive(
    "sends a signal to the endpoint of its own, path and all, and the others to the common one",
    () =>
      Effect.gen(function* () {
        const common = yield* otlpReceiver()
        const own = yield* otlpReceiver()
        const { running, validate } = yield* exportingTo(common, {
          OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: `${own.url}/ingest/otlp`
        })
        yield* validate()
        yield* running.signal("SIGTERM")
        expect((yield* running.ended()).code).toBe(0)
        expect(own.paths()).toEqual(["/ingest/otlp"])
        expect(own.spans().length).toBeGreaterThan(0)
        expect(common.paths()).toEqual(["/v1/logs", "/v1/metrics"])
        expect(common.spans()).toEqual([])
      }),
    60_000
  )

  const samplers: ReadonlyArray<
    readonly [what: string, Readonly<Record<string, string>>, traceparent: string, spans: number]
  > = [
    ["nothing of a trace that its beginning does not record", {}, `00-${traceId}-${parentId}-00`, 0],
    ["nothing with always_off", { OTEL_TRACES_SAMPLER: "always_off" }, traceparent, 0],
    ["all with always_on", { OTEL_TRACES_SAMPLER: "always_on" }, `00-${traceId}-${parentId}-00`, 1]
  ]
  for (const [what, environment, given, expected] of samplers) {
    it.scopedLive(
      `sends ${what}, and the row has its trace`,
      () =>
        Effect.gen(function* () {
          const receiver = yield* otlpReceiver()
          const { databaseUrl, running, validate } = yield* exportingTo(receiver, environment)
          yield* validate({ traceparent: given })
          yield* running.signal("SIGTERM")
          yield* running.ended()
          expect(receiver.spans().filter((one) => one.kind === 2).length).toBe(expected)
          const rows = yield* rowsOf(databaseUrl, "select metadata ->> 'trace_id' as trace from gatekeeper.audit_log")
          expect(rows).toEqual([{ trace: traceId }])
        }),
      60_000
    )
  }

  it.scopedLive(
    "delays neither requests nor the end if no receiver takes it",
    () =>
      Effect.gen(function* () {
        const receiver = yield* otlpReceiver(false)
        // An export hangs for longer than all that follows may take together: who waited for one would be seen.
        const { running, validate } = yield* exportingTo(receiver, {
          OTEL_EXPORTER_OTLP_TIMEOUT: "300000",
          OTEL_METRIC_EXPORT_INTERVAL: "100",
          SHUTDOWN_DEADLINE: "25s"
        })
        while (receiver.headers().length === 0) yield* Effect.sleep("20 millis")
        const statuses = yield* Effect.forEach(Array.from({ length: 200 }), () =>
          Effect.map(validate(), ({ status }) => status)
        ).pipe(Effect.timeout("60 seconds"))
        expect(new Set(statuses)).toEqual(new Set([200]))
        yield* running.signal("SIGTERM")
        expect((yield* running.ended("60 seconds")).code).toBe(0)
        expect(running.output()).not.toContain("not stopped within")
      }),
    180_000
  )

  it.scopedLive(
    "is reported once if the receiver does not take it in time",
    () =>
      Effect.gen(function* () {
        const receiver = yield* otlpReceiver(false)
        const { running, validate } = yield* exportingTo(receiver, {
          OTEL_EXPORTER_OTLP_TIMEOUT: "200",
          OTEL_METRIC_EXPORT_INTERVAL: "100"
        })
        yield* validate()
        yield* running.printed(/Telemetry cannot be sent/)
        const before = receiver.headers().length
        while (receiver.headers().length < before + 2) yield* Effect.sleep("20 millis")
        yield* running.signal("SIGTERM")
        expect((yield* running.ended()).code).toBe(0)
        expect(running.output().match(/Telemetry cannot be sent/g)?.length).toBe(1)
      }),
    120_000
  )

  it.scopedLive(
    "is off with OTEL_SDK_DISABLED, and rows still have the trace",
    () =>
      Effect.gen(function* () {
        const receiver = yield* otlpReceiver()
        const { databaseUrl, running, validate } = yield* exportingTo(receiver, { OTEL_SDK_DISABLED: "true" })
        yield* validate({ traceparent })
        yield* validate({ traceparent: "00-broken" })
        yield* validate({}, { action: "read", resource: "vaults/a", metadata: { trace_id: traceId, a: 1, z: 2 } })
        yield* running.signal("SIGTERM")
        yield* running.ended()
        expect(receiver.headers()).toEqual([])
        const rows = yield* rowsOf(databaseUrl, "select metadata, marks from gatekeeper.audit_log order by seq")
        expect(rows[0]).toEqual({ metadata: { trace_id: traceId }, marks: ["trace_id:given"] })
        const made = expect.stringMatching(/^(?!4bf92f)[0-9a-f]{32}$/)
        expect(rows[1]).toEqual({ metadata: { trace_id: made }, marks: [] })
        // A caller cannot put its decision into the trace of another.
        expect(rows[2]).toEqual({ metadata: { trace_id: made, a: 1, z: 2 }, marks: ["metadata:reserved"] })
      }),
    60_000
  )

  it.scopedLive("refuses to start on settings that it cannot mean, and repeats no secret", () =>
    Effect.gen(function* () {
      const running = yield* program({
        environment: {
          OTEL_EXPORTER_OTLP_ENDPOINT: "ftp://x",
          OTEL_EXPORTER_OTLP_HEADERS: "api-key hunter2",
          OTEL_TRACES_SAMPLER: "sometimes",
          OTEL_TRACES_SAMPLER_ARG: "2",
          OTEL_SDK_DISABLED: "perhaps"
        }
      })
      expect((yield* running.ended()).code).not.toBe(0)
      for (const name of ["ENDPOINT", "HEADERS"]) expect(running.output()).toContain(`OTEL_EXPORTER_OTLP_${name}: `)
      for (const name of ["TRACES_SAMPLER", "TRACES_SAMPLER_ARG", "SDK_DISABLED"]) {
        expect(running.output()).toContain(`OTEL_${name}: `)
      }
      expect(running.output()).not.toContain("hunter2")
    })
  )
})
