import { createServer } from "node:http"

/*
 * An enforcement point: a small HTTP service that asks the gatekeeper before it answers (OpenID AuthZEN 1.0).
 *
 *   PEP_TOKEN=$(pnpm -s gravitas token Operator) pnpm -s tsx examples/authzen.ts
 *   curl -s -H 'X-Agent: Librarian' http://127.0.0.1:8080/vaults/public
 *
 * PEP_TOKEN needs `execute` on `access/evaluation`. X-Agent stands for how your service knows its caller. With a path as its argument,
 * such as /vaults/public, it asks for that once as the agent AGENT, prints the answer and ends.
 */

const gatekeeper = process.env["GATEKEEPER_URL"] ?? "http://127.0.0.1:8001"
const token = process.env["PEP_TOKEN"] ?? ""

interface Decision {
  readonly decision: boolean
}

const isDecision = (body: unknown): body is Decision =>
  typeof body === "object" && body !== null && "decision" in body && typeof body.decision === "boolean"

/** Asks whether `agent` may read the resource at `path`, as `/<type>/<id>`. Anything but a clear yes is a no. */
const isAllowed = async (agent: string, path: string): Promise<boolean> => {
  const [, type = "", id = ""] = /^\/([^/]+)\/(.+)$/.exec(path) ?? []
  if (agent === "" || type === "") return false
  try {
    const response = await fetch(`${gatekeeper}/access/v1/evaluation`, {
      method: "POST",
      headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
      body: JSON.stringify({ subject: { type: "agent", id: agent }, action: { name: "read" }, resource: { type, id } }),
      signal: AbortSignal.timeout(2_000)
    })
    const body: unknown = await response.json()
    if (!response.ok) console.error(`the gatekeeper answers ${response.status}: ${JSON.stringify(body)}`)
    return response.ok && isDecision(body) && body.decision
  } catch (cause) {
    console.error(`the gatekeeper does not answer: ${cause}`)
    return false
  }
}

const [path] = process.argv.slice(2)

if (path === undefined) {
  createServer(async (request, response) => {
    const agent = request.headers["x-agent"]
    const allowed = await isAllowed(typeof agent === "string" ? agent : "", request.url ?? "")
    response.statusCode = allowed ? 200 : 403
    response.end(allowed ? "here you are\n" : "the policy does not allow this\n")
  }).listen(8080, "127.0.0.1", () => console.log("http://127.0.0.1:8080"))
} else {
  const allowed = await isAllowed(process.env["AGENT"] ?? "Librarian", path)
  console.log(allowed ? "allowed" : "refused")
}
