import { expect, layer } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import parse from "parse-prometheus-text-format"
import { ask, Gravitas, request } from "../support/Gravitas.ts"

/** Once the page has the lines: an answer is counted after it was given, the audit's own numbers are published each second. */
const scraped = (url: string, ...lines: ReadonlyArray<string | RegExp>) =>
  Effect.promise(async (signal) => {
    const response = await fetch(`${url}/metrics`, { signal })
    const text = await response.text()
    return { status: response.status, type: response.headers.get("content-type"), text, families: parse(text) }
  }).pipe(
    Effect.filterOrFail(
      ({ text }) => lines.every((line) => new RegExp(line, "m").test(text)),
      ({ text }) => text
    ),
    Effect.retry(Schedule.spaced("100 millis").pipe(Schedule.upTo("30 seconds"))),
    Effect.orDieWith((text) => new Error(`the page never had ${lines.join(" and ")}:\n${text}`))
  )

layer(Gravitas.layer(), { timeout: "60 seconds", excludeTestServices: true })("/metrics", (it) => {
  it.effect("is Prometheus' text, and counts what was answered by route and status", () =>
    Effect.gen(function* () {
      const { gatekeeper, program } = yield* Gravitas
      for (let n = 0; n < 3; n++) yield* ask({ resource: "vaults/a" })
      yield* ask({ action: "execute", resource: "shells/l3/claude" }, { ghost: "Scout" })
      yield* request(`${gatekeeper}/nowhere`)
      yield* request(`${yield* program.url("router")}/healthz`)
      const { families, status, text, type } = yield* scraped(
        gatekeeper,
        "^audit_events_offered 4$",
        /^http_server_requests_total\{(?=.*route="\/validate")(?=.*status="200").*\} 3$/,
        /^http_server_requests_total\{(?=.*route="\/validate")(?=.*status="403").*\} 1$/,
        /^http_server_requests_total\{(?=.*route="unknown")(?=.*status="404").*\} 1$/,
        /^http_server_requests_total\{(?=.*service="router")(?=.*route="\/healthz").*\} 1$/
      )
      expect(status).toBe(200)
      expect(type).toBe("text/plain; version=0.0.4; charset=utf-8")
      const family = (name: string) => families.find((one) => one.name === name)
      const requests = family("http_server_requests_total")
      expect(requests?.type).toBe("COUNTER")
      const valueOf = (labels: Readonly<Record<string, string>>) =>
        requests?.metrics.find((one) => Object.entries(labels).every(([key, value]) => one.labels?.[key] === value))
          ?.value
      const validate = { service: "gatekeeper", method: "POST", route: "/validate" }
      expect(valueOf({ ...validate, status: "200" })).toBe("3")
      expect(valueOf({ ...validate, status: "403" })).toBe("1")
      expect(valueOf({ service: "gatekeeper", route: "unknown", status: "404" })).toBe("1")
      expect(valueOf({ service: "router", route: "/healthz", status: "200" })).toBe("1")
      const duration = family("http_server_request_duration_seconds")
      expect(duration?.type).toBe("HISTOGRAM")
      // The parser folds the histograms of all labels into one, so these are read line by line.
      const ofValidate = [...text.matchAll(/^http_server_request_duration_seconds_(\w+)\{(.*)\} (.+)$/gm)]
        .filter(([, , labels]) => labels?.includes('route="/validate"'))
        .map(([, part, labels, value]) => ({ part, bound: /le="(.+?)"/.exec(labels ?? "")?.[1], value: Number(value) }))
      expect(ofValidate.find(({ part }) => part === "count")?.value).toBe(4)
      expect(ofValidate.find(({ part }) => part === "sum")?.value).toBeGreaterThan(0)
      const buckets = ofValidate.filter(({ part }) => part === "bucket")
      expect(buckets.at(-1)).toMatchObject({ bound: "+Inf", value: 4 })
      expect(buckets.map(({ value }) => value)).toEqual(buckets.map(({ value }) => value).toSorted((a, b) => a - b))
      expect(family("audit_events_offered")?.metrics[0]?.value).toBe("4")
    })
  )

  it.effect("has no label that a client can fill at will", () =>
    Effect.gen(function* () {
      const { gatekeeper } = yield* Gravitas
      for (const path of ["/a", "/b", "/validate/x", "/%00", "/validate?x=1"]) yield* request(`${gatekeeper}${path}`)
      yield* request(`${gatekeeper}/validate`, { method: "PURGE" })
      const { families } = yield* scraped(
        gatekeeper,
        /^http_server_requests_total\{(?=.*route="unknown")(?=.*status="404").*\} 5$/,
        /^http_server_requests_total\{(?=.*method="other")(?=.*route="\/validate").*\} 1$/
      )
      const requests = families.find((one) => one.name === "http_server_requests_total")?.metrics ?? []
      const routes = new Set(requests.flatMap((one) => one.labels?.["route"] ?? []))
      expect([...routes].filter((route) => !["/validate", "/metrics", "/healthz", "unknown"].includes(route))).toEqual(
        []
      )
    })
  )
})
