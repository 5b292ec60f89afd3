import * as Http from "node:http"
import type { AddressInfo } from "node:net"
import * as Effect from "effect/Effect"

export interface Span {
  readonly traceId: string
  readonly spanId: string
  readonly parentSpanId?: string
  readonly name: string
  readonly kind: number
  readonly attributes: ReadonlyArray<{ readonly key: string; readonly value: Readonly<Record<string, unknown>> }>
}

export interface OtlpReceiver {
  readonly url: string
  readonly spans: () => ReadonlyArray<Span>
  readonly metricNames: () => ReadonlySet<string>
  readonly logLines: () => ReadonlyArray<string>
  readonly headers: () => ReadonlyArray<Http.IncomingHttpHeaders>
  readonly resources: () => ReadonlyArray<unknown>
  /** Each that something was sent to, once. */
  readonly paths: () => ReadonlyArray<string>
}

/** A receiver of OTLP/HTTP in JSON that keeps what it is sent; `answer` false: it takes requests and never answers. */
export const otlpReceiver = (answer = true) =>
  Effect.acquireRelease(
    Effect.async<{ readonly receiver: OtlpReceiver; readonly server: Http.Server }>((resume) => {
      const spans: Array<Span> = []
      const metricNames = new Set<string>()
      const logLines: Array<string> = []
      const headers: Array<Http.IncomingHttpHeaders> = []
      const resources: Array<unknown> = []
      const paths = new Set<string>()
      const server = Http.createServer((request, response) => {
        let body = ""
        request.setEncoding("utf8").on("data", (chunk) => {
          body += chunk
        })
        request.on("end", () => {
          headers.push(request.headers)
          paths.add(request.url ?? "")
          if (!answer) return
          const data = JSON.parse(body)
          for (const { resource, scopeSpans } of data.resourceSpans ?? []) {
            resources.push(resource)
            for (const scope of scopeSpans) spans.push(...scope.spans)
          }
          for (const { scopeMetrics } of data.resourceMetrics ?? []) {
            for (const { metrics } of scopeMetrics) for (const { name } of metrics) metricNames.add(name)
          }
          for (const { scopeLogs } of data.resourceLogs ?? []) {
            for (const { logRecords } of scopeLogs)
              logLines.push(...logRecords.map((record: unknown) => JSON.stringify(record)))
          }
          response.writeHead(200, { "content-type": "application/json" })
          response.end("{}")
        })
      })
      server.listen(0, "127.0.0.1", () => {
        const { port } = server.address() as AddressInfo
        const receiver = {
          url: `http://127.0.0.1:${port}`,
          spans: () => spans,
          metricNames: () => metricNames,
          logLines: () => logLines,
          headers: () => headers,
          resources: () => resources,
          paths: () => [...paths].toSorted()
        }
        resume(Effect.succeed({ receiver, server }))
      })
    }),
    ({ server }) =>
      Effect.async<void>((resume) => {
        server.close(() => resume(Effect.void))
        server.closeAllConnections()
      })
  ).pipe(Effect.map(({ receiver }) => receiver))
