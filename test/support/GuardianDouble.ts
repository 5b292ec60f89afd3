import * as Http from "node:http"
import type { AddressInfo } from "node:net"
import * as Effect from "effect/Effect"
import type { KeepSessions } from "../../src/contracts/guardian/GuardianSchemas.ts"

export interface GuardianCall {
  readonly path: string
  readonly body: Readonly<Record<string, unknown>>
  readonly requestId: string | undefined
}

/** What it says to an agent; `away` drops the connection. */
export type Verdict = "certified" | "not_certified" | "session_exists" | "away"

export interface GuardianDouble {
  readonly url: string
  readonly calls: ReadonlyArray<GuardianCall>
  /** Sessions that were started and not ended. */
  readonly open: () => ReadonlyArray<string>
  readonly say: (verdict: Verdict) => void
}

const refusal = (code: string, requestId: string | undefined) => ({
  error: { code, message: `told to say ${code}`, request_id: requestId ?? "" },
  detail: code
})

const in15Minutes = () => new Date(Date.now() + 15 * 60_000).toISOString()

/** A real server that speaks the guardian's contract for work (`contracts/guardian/GuardianApi.ts`), and says what a test tells it to. */
export const guardianDouble = Effect.acquireRelease(
  Effect.async<GuardianDouble & { readonly server: Http.Server }>((resume) => {
    const calls: Array<GuardianCall> = []
    const sessions = new Set<string>()
    let verdict: Verdict = "certified"
    const server = Http.createServer((message, response) => {
      let text = ""
      message.setEncoding("utf8").on("data", (piece: string) => {
        text += piece
      })
      message.on("end", () => {
        const body = JSON.parse(text) as Record<string, unknown>
        const requestId = message.headers["x-request-id"]?.toString()
        const path = message.url ?? ""
        if (path !== "/sessions/keep") calls.push({ path, body, requestId })
        if (verdict === "away") return response.destroy()
        const answer = (status: number, value: unknown) => {
          response.writeHead(status, { "content-type": "application/json" })
          response.end(JSON.stringify(value))
        }
        const now = new Date().toISOString()
        if (path === "/session/end") {
          const known = sessions.delete(String(body["session_id"]))
          return known
            ? answer(200, { session_id: body["session_id"], ended_at: now, end_reason: "completed" })
            : answer(404, refusal("session_not_found", requestId))
        }
        if (path === "/sessions/keep") {
          const alive = body["alive"] as (typeof KeepSessions.Type)["alive"]
          const over = alive.flatMap(({ agent, session_id }) => {
            const code = !sessions.has(session_id) ? "session_not_found" : verdict === "certified" ? undefined : verdict
            return code === undefined || code === "session_exists"
              ? []
              : [{ agent, session_id, code, reason: `told to say ${code}` }]
          })
          return answer(200, { over })
        }
        if (verdict === "not_certified") return answer(403, refusal("not_certified", requestId))
        if (path === "/validate") {
          return answer(200, { valid: true, agent: body["agent"], issued_at: now, expires_at: now })
        }
        if (path === "/session/heartbeat") {
          return sessions.has(String(body["session_id"]))
            ? answer(200, { session_id: body["session_id"], last_seen_at: now, expires_at: in15Minutes() })
            : answer(404, refusal("session_not_found", requestId))
        }
        if (verdict === "session_exists") return answer(409, refusal("session_exists", requestId))
        sessions.add(String(body["session_id"]))
        return answer(200, { allowed: true, reason: "certified" })
      })
    })
    server.listen({ host: "127.0.0.1", port: 0 }, () => {
      const { port } = server.address() as AddressInfo
      resume(
        Effect.succeed({
          server,
          url: `http://127.0.0.1:${port}`,
          calls,
          open: () => [...sessions],
          say: (next) => {
            verdict = next
          }
        })
      )
    })
  }),
  ({ server }) =>
    Effect.async<void>((resume) => {
      server.close(() => resume(Effect.void))
      server.closeAllConnections()
    })
)
