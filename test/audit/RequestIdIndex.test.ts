import { expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import type * as Redacted from "effect/Redacted"
import * as PostgresAuditStore from "../../src/audit/store/PostgresAuditStore.ts"
import { anEvent, rowsOf } from "../support/AuditEvents.ts"
import { earlierWriter } from "../support/EarlierWriter.ts"
import { gatekeeperDownTo, gatekeeperUp, gatekeeperUpTo } from "../support/GatekeeperSchema.ts"
import { partitionIndexes } from "../support/PartitionIndexes.ts"
import { freshDatabase } from "../support/TestDatabase.ts"
import { query } from "../support/Trail.ts"

const month = 31 * 24 * 60 * 60 * 1_000

/** Each partition with its index by request. */
const indexed = (url: Redacted.Redacted) => partitionIndexes(url, "audit_log_request_id_id_idx")

it.scopedLive("every partition is indexed by request: those that were there, and those that are made later", () =>
  Effect.gen(function* () {
    const url = yield* freshDatabase
    yield* gatekeeperUpTo(url, 4)
    const store = yield* PostgresAuditStore.make({ url })
    const now = Date.now()
    const rows = [now - 2 * month, now].flatMap((timestamp) => rowsOf(50, { timestamp }))
    for (const row of rows) yield* store.makePartition(row.id)
    yield* (yield* earlierWriter(url))(rows)
    yield* gatekeeperUp(url)
    const late = rowsOf(1, { timestamp: now - 6 * month })
    expect(yield* Effect.forEach(late, (row) => store.makePartition(row.id))).toEqual([true])
    const partitions = yield* indexed(url)
    expect(partitions).toHaveLength(5)
    expect(partitions.filter(({ valid }) => valid === true)).toHaveLength(5)
    // There and back, and there once more.
    yield* gatekeeperDownTo(url, 4)
    expect((yield* indexed(url)).filter(({ index }) => index !== null)).toEqual([])
    yield* gatekeeperUp(url)
    expect((yield* indexed(url)).filter(({ valid }) => valid === true)).toHaveLength(5)
  })
)

it.scopedLive("an index that was built beforehand, while everybody wrote, is taken over as it is", () =>
  Effect.gen(function* () {
    const url = yield* freshDatabase
    yield* gatekeeperUpTo(url, 4)
    const [partition] = yield* query(
      url,
      "select inhrelid::regclass::text as name from pg_inherits where inhparent = 'gatekeeper.audit_log'::regclass order by 1"
    )
    const name = String(partition?.["name"])
    yield* query(
      url,
      `create index concurrently ${name.replace("gatekeeper.", "")}_request_id_id_idx on ${name} (request_id, id)
       where request_id is not null`
    )
    const [built] = yield* query(
      url,
      "select indexrelid::integer as index from pg_index where indexrelid = to_regclass($1)",
      [`${name}_request_id_id_idx`]
    )
    yield* gatekeeperUp(url)
    expect((yield* indexed(url))[0]).toEqual({ partition: name, index: built?.["index"], valid: true })
  })
)

it.scopedLive("is built beside writers: they wait, and neither they nor the revision fail", () =>
  Effect.gen(function* () {
    const url = yield* freshDatabase
    yield* gatekeeperUpTo(url, 4)
    const write = yield* earlierWriter(url)
    for (let part = 0; part < 100; part++) yield* write(rowsOf(1_000))
    const writers = yield* Effect.forEach([1, 2], () =>
      Effect.flatMap(earlierWriter(url), (writer) =>
        Effect.fork(Effect.forever(Effect.suspend(() => Effect.asVoid(writer(rowsOf(1))))))
      )
    )
    yield* gatekeeperUp(url)
    yield* Effect.sleep("200 millis")
    for (const writer of writers) expect(Exit.isInterrupted(yield* Fiber.interrupt(writer))).toBe(true)
    expect(
      yield* query(url, "select deadlocks::integer from pg_stat_database where datname = current_database()")
    ).toEqual([{ deadlocks: 0 }])
    expect((yield* indexed(url)).map(({ valid }) => valid)).toEqual([true, true, true])
  })
)

it.scopedLive(
  "a request is looked for in that index alone, however many rows there are and whatever is known of them",
  () =>
    Effect.gen(function* () {
      const url = yield* freshDatabase
      yield* gatekeeperUp(url)
      const store = yield* PostgresAuditStore.make({ url })
      const requests = Array.from({ length: 2_000 }, (_, index) =>
        rowsOf(4, { event: { ...anEvent, requestId: `request ${index}` } })
      )
      yield* store.append(requests.flat(), { certain: true })
      const [full] = yield* query(url, "select tableoid::regclass::text as name from gatekeeper.audit_log limit 1")
      const partition = String(full?.["name"]).replace("gatekeeper.", "")
      const plan =
        "explain select * from gatekeeper.audit_log where request_id = 'request 7' order by id desc limit 101"
      for (const known of ["never analysed", "analysed"]) {
        const lines = (yield* query(url, plan)).map((line) => String(line["QUERY PLAN"]))
        const looks = lines.filter((line) => line.includes(partition) && /(Seq|Index|Index Only) Scan/.test(line))
        expect(looks.length).toBeGreaterThan(0)
        expect([known, looks.filter((line) => !line.includes("request_id_id_idx"))]).toEqual([known, []])
        yield* query(url, "analyze gatekeeper.audit_log")
      }
    })
)
