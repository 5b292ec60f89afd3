import { createInterface } from "node:readline"

/*
 * Ships events of another program into the audit trail: one JSON object a line on stdin, in batches (docs/ingest.md).
 *
 *   TOKEN=$(pnpm -s gravitas token service:guardian)
 *   echo '{"id": "deploy-17", "action": "deploy", "resource": "sites/a"}' | TOKEN=$TOKEN pnpm -s tsx examples/ship-events.ts
 *
 * `id` is the program's own key for an event: what is sent again is recorded once. So a batch without an answer is sent again, and the whole
 * file may be shipped again after a crash. Exits with 1 when an event was not recorded; its line is on stderr.
 */

const gatekeeper = process.env["GATEKEEPER_URL"] ?? "http://127.0.0.1:8001"
const token = process.env["TOKEN"] ?? ""

/** At most 1 000 events and 1 MiB are accepted in a batch. */
const most = { events: 500, bytes: 512 * 1024 }

interface Result {
  readonly id?: string
  readonly status: string
  readonly problem?: string
}

const hasResults = (body: unknown): body is { readonly results: ReadonlyArray<Result> } =>
  typeof body === "object" && body !== null && "results" in body && Array.isArray(body.results)

/** Posts the events until they are answered. 429 and 5xx mean: the same again, later. */
const post = async (lines: ReadonlyArray<string>): Promise<ReadonlyArray<Result>> => {
  for (let attempt = 0; ; attempt++) {
    const response = await fetch(`${gatekeeper}/audit/events`, {
      method: "POST",
      headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
      body: `{"events": [${lines.join(",")}]}`,
      signal: AbortSignal.timeout(30_000)
    }).catch((cause: unknown) => {
      console.error(`the gatekeeper does not answer: ${cause}`)
      return undefined
    })
    const body: unknown = await response?.json().catch(() => undefined)
    if (hasResults(body)) return body.results
    if (response !== undefined && response.status < 500 && response.status !== 429) {
      throw new Error(`the gatekeeper answers ${response.status}: ${JSON.stringify(body)}`)
    }
    await new Promise((resolve) => setTimeout(resolve, Math.min(500 * 2 ** attempt, 30_000)))
  }
}

const counts = new Map<string, number>()

const ship = async (lines: ReadonlyArray<string>): Promise<void> => {
  if (lines.length === 0) return
  for (const [index, { problem, status }] of (await post(lines)).entries()) {
    counts.set(status, (counts.get(status) ?? 0) + 1)
    if (status === "recorded" || status === "duplicate") continue
    console.error(`${status}: ${lines[index]}${problem === undefined ? "" : ` (${problem})`}`)
    process.exitCode = 1
  }
}

let batch: Array<string> = []
let bytes = 0
for await (const line of createInterface({ input: process.stdin })) {
  if (line.trim() === "") continue
  const size = Buffer.byteLength(line) + 1
  if (batch.length === most.events || bytes + size > most.bytes) {
    await ship(batch)
    batch = []
    bytes = 0
  }
  batch.push(line)
  bytes += size
}
await ship(batch)
console.log([...counts].map(([status, count]) => `${count} ${status}`).join(", "))
