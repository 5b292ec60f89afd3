import { describe, expect, it } from "@effect/vitest"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type { AttributedEvent } from "../../../src/audit/AuditReader.ts"
import { renderRequest } from "../../../src/audit/cli/RequestTree.ts"
import { AuditId } from "../../../src/audit/encoding/AuditId.ts"
import * as PostgresAuditStore from "../../../src/audit/store/PostgresAuditStore.ts"
import { auditCommandLine } from "../../support/AuditCommandLine.ts"
import { rowsOf } from "../../support/AuditEvents.ts"
import { temporaryHome } from "../../support/TemporaryHome.ts"
import { gatekeeperDatabase, query } from "../../support/Trail.ts"

const began = 1_790_000_000_000

const event = (
  millis: number,
  action: string,
  resource: string | null,
  result: string,
  reason: string | null
): AttributedEvent => ({
  id: Schema.decodeSync(AuditId)("01900000-0000-7000-8000-000000000000"),
  timestamp: DateTime.unsafeMake(began + millis),
  source: "01900000-0000-7000-8000-000000000001",
  seq: 1,
  ghostId: "Scout",
  shellId: null,
  action,
  resource,
  result,
  reason,
  requestId: "try-1",
  metadata: {},
  marks: [],
  leafHash: "",
  identity: null
})

describe("A request's tree", () => {
  it("has a branch for each resource in the order of its first event, with times from the beginning", () => {
    const text = renderRequest(
      {
        requestId: "try-1",
        isCut: false,
        events: [
          event(0, "execute", "shells/l1/a", "ALLOWED", "policy 1: rule 2"),
          event(3, "read", "certificates/Scout", "ALLOWED", null),
          event(12, "route.fallback", "shells/l1/a", "FAILED", "it did not answer"),
          event(120, "note", null, "ALLOWED", "\u001b[2J")
        ]
      },
      false
    )
    expect(text.split("\n")).toEqual([
      `try-1  Scout  ${new Date(began).toISOString()}  4 events in 120 ms`,
      "├─ shells/l1/a",
      "│  ├─   +0 ms  execute         ALLOWED  policy 1: rule 2",
      "│  └─  +12 ms  route.fallback  FAILED   it did not answer",
      "├─ certificates/Scout",
      "│  └─   +3 ms  read            ALLOWED",
      "└─ (no resource)",
      "   └─ +120 ms  note            ALLOWED  \\u{1b}[2J"
    ])
  })

  it("says where it shows the newest events only", () => {
    const text = renderRequest({ requestId: "a", isCut: true, events: [event(0, "a", "b", "DENIED", null)] }, true)
    expect(text).toContain("Only the newest 1 events of the request are shown.")
    expect(text).toContain("\u001b[31mDENIED\u001b[0m")
  })
})

it.scopedLive("trail request reads the events of one id, as a tree and as JSON, and exits with 11 for another id", () =>
  Effect.gen(function* () {
    const url = yield* gatekeeperDatabase
    const run = auditCommandLine({ url, home: yield* temporaryHome })
    const store = yield* PostgresAuditStore.make({ url })
    const rows = rowsOf(3)
    const source = rows[0]?.source ?? ""
    yield* store.register({ source, host: "here", pid: 7, startedAt: 1, bootId: "boot", durability: "journal" })
    yield* store.append(rows, { certain: true })
    const [row] = yield* query(
      url,
      "select request_id as id, count(*)::int as count from gatekeeper.audit_log group by 1 limit 1"
    )
    const id = String(row?.["id"])
    const text = yield* run("trail", "request", id)
    expect(text).toMatchObject({ code: 0, stderr: "" })
    expect(text.stdout).toContain(`${id}  `)
    expect(text.stdout).toContain("└─ ")
    const json = yield* run("trail", "request", id, "--json")
    expect(JSON.parse(json.stdout)).toMatchObject({ exitCode: 0, result: { request_id: id, is_cut: false } })
    // The names of GET /audit/events.
    expect(JSON.parse(json.stdout).result.events[0]).toMatchObject({
      id: rows[0]?.id,
      seq: 1,
      request_id: id,
      leaf_hash: expect.stringMatching(/^[0-9a-f]{64}$/)
    })
    expect(JSON.parse(json.stdout).result.events).toHaveLength(Number(row?.["count"]))
    const unknown = yield* run("trail", "request", "no-such")
    expect(unknown.code).toBe(11)
    expect(unknown.stderr).toContain('no event of the request "no-such" is in the trail at postgresql:')
  })
)
