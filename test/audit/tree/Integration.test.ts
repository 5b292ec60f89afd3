import { expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { intakeRuns } from "../../../src/audit/store/IntakeRows.ts"
import { uncovered } from "../../../src/audit/tree/Integration.ts"
import { integrateStep } from "../../../src/audit/tree/IntegrationStep.ts"
import { encodeEntry } from "../../../src/audit/tree/verify/LeafEntry.ts"
import { anEvent, rowsOf } from "../../support/AuditEvents.ts"
import { eventually } from "../../support/Eventually.ts"
import { batchOf, ingestOf } from "../../support/Ingests.ts"
import { gatekeeperDatabase, openTrail, query, recordMany, settled } from "../../support/Trail.ts"
import { integrateAll, integratorOf, queued, verifiedTree } from "../../support/Trees.ts"

it("rows are queued as runs of consecutive numbers of one source, with the bytes of their entries", () => {
  const rows = rowsOf(5, { event: anEvent })
  const [first, second, , fourth, fifth] = rows
  if (first === undefined || second === undefined || fourth === undefined || fifth === undefined)
    throw new Error("five")
  const runs = intakeRuns([first, second, fourth, fifth])
  expect(runs.map(({ firstSeq, n }) => [firstSeq, n])).toEqual([
    [first.seq, 2],
    [fourth.seq, 2]
  ])
  const entries = [first, second].map(({ id, leafHash }) => encodeEntry({ format: 1, id, digest: leafHash }))
  expect(runs[0]?.entries).toBe(Buffer.concat(entries).toString("hex"))
  expect(intakeRuns([])).toEqual([])
})

it("of a run, the parts that no earlier run has are left", () => {
  const source = "0193a5b0-7c6e-7def-8123-456789abcdef"
  const run = (firstSeq: number, n: number) => ({ source, firstSeq, n })
  expect(uncovered(run(10, 10), [])).toEqual([run(10, 10)])
  expect(uncovered(run(10, 10), [run(1, 9), run(20, 5)])).toEqual([run(10, 10)])
  expect(uncovered(run(10, 10), [run(18, 9), run(1, 11), run(13, 2)])).toEqual([run(12, 1), run(15, 3)])
  expect(uncovered(run(10, 10), [run(1, 100)])).toEqual([])
  expect(uncovered(run(10, 10), [{ ...run(1, 100), source: "another" }])).toEqual([run(10, 10)])
})

it.scopedLive("each row gets one index, in bundles and beyond them, whichever path wrote it", () =>
  Effect.gen(function* () {
    const url = yield* gatekeeperDatabase
    const { log } = yield* openTrail(url)
    const { ingest } = yield* ingestOf(url)
    yield* recordMany(log, 700)
    yield* ingest("planner", batchOf(30))
    yield* settled(log)
    expect(yield* queued(url)).toBe(730)
    const integrator = yield* integratorOf(url)
    yield* integrateAll(integrator)
    expect(yield* verifiedTree(url)).toBe(730)
    yield* recordMany(log, 300)
    yield* settled(log)
    yield* integrateAll(integrator)
    expect(yield* verifiedTree(url)).toBe(1_030)
    expect(yield* queued(url)).toBe(0)
  })
)

it.scopedLive("of several integrators at once, no two give an index twice", () =>
  Effect.gen(function* () {
    const url = yield* gatekeeperDatabase
    const { log } = yield* openTrail(url, { batchSize: 10 })
    const integrators = yield* Effect.forEach([1, 2, 3], () => integratorOf(url))
    const work = Effect.forEach(integrators, integrateStep, { concurrency: "unbounded" })
    yield* recordMany(log, 500)
    yield* eventually(Effect.zipRight(work, verifiedSize(url)), (size) => size === 500)
    yield* settled(log)
    expect(yield* verifiedTree(url)).toBe(500)
  })
)

const verifiedSize = (url: Parameters<typeof queued>[0]) =>
  Effect.map(query(url, "select size::integer as size from gatekeeper.audit_tree"), ([row]) => Number(row?.["size"]))

it.scopedLive("rows that are queued twice keep their one index", () =>
  Effect.gen(function* () {
    const url = yield* gatekeeperDatabase
    const { log } = yield* openTrail(url, { batchSize: 50 })
    yield* recordMany(log, 300)
    yield* settled(log)
    const again = `insert into gatekeeper.audit_intake (source, first_seq, n, entries)
      select source, first_seq, n, entries from gatekeeper.audit_intake order by no desc`
    yield* query(url, again)
    const integrator = yield* integratorOf(url)
    const whole = `insert into gatekeeper.audit_intake (source, first_seq, n, entries)
      select source, min(first_seq), sum(n), string_agg(entries, '' order by first_seq)
      from (select distinct source, first_seq, n, entries from gatekeeper.audit_intake) as queued group by source`
    yield* query(url, whole)
    yield* integrateAll(integrator)
    expect(yield* verifiedTree(url)).toBe(300)
    expect(yield* queued(url)).toBe(0)
  })
)

it.each(["for update", "insert into gatekeeper.audit_run", "update gatekeeper.audit_tree", "delete from", "pg_notify"])(
  "an integrator that dies at `%s` changes nothing, and the next one takes over",
  (at) =>
    Effect.gen(function* () {
      const url = yield* gatekeeperDatabase
      const { log } = yield* openTrail(url)
      yield* recordMany(log, 300)
      yield* settled(log)
      const dying = yield* integratorOf(url)
      const outcome = yield* Effect.either(
        integrateStep({
          ...dying,
          query: (text, ...rest) =>
            text.includes(at)
              ? Effect.zipRight(dying.query(text, ...rest), Effect.zipRight(dying.destroy, dying.query(text)))
              : dying.query(text, ...rest)
        })
      )
      expect(outcome._tag).toBe("Left")
      expect(yield* queued(url)).toBe(300)
      expect(yield* verifiedSize(url)).toBe(0)
      const next = yield* integratorOf(url)
      yield* eventually(integrateStep(next), ({ _tag }) => _tag === "idle")
      expect(yield* verifiedTree(url)).toBe(300)
    }).pipe(Effect.scoped, Effect.runPromise)
)

it.scopedLive("an integrator that stops in its transaction loses its lock, and no writer waits for it", () =>
  Effect.gen(function* () {
    const url = yield* gatekeeperDatabase
    const { log } = yield* openTrail(url)
    yield* recordMany(log, 300)
    yield* settled(log)
    const stopped = yield* integratorOf(url)
    yield* Effect.forkScoped(
      integrateStep({
        ...stopped,
        query: (text, ...rest) => (text.includes("delete from") ? Effect.never : stopped.query(text, ...rest))
      })
    )
    const next = yield* integratorOf(url)
    yield* eventually(integrateStep(next), ({ _tag }) => _tag === "busy")
    yield* recordMany(log, 100)
    yield* settled(log)
    expect(yield* integrateStep(next)).toEqual({ _tag: "busy" })
    yield* eventually(integrateStep(next), ({ _tag }) => _tag === "idle")
    expect(yield* verifiedTree(url)).toBe(400)
  })
)

it.scopedLive("the tree never goes back, and no part of it is changed or removed", () =>
  Effect.gen(function* () {
    const url = yield* gatekeeperDatabase
    const { log } = yield* openTrail(url)
    yield* recordMany(log, 300)
    yield* settled(log)
    yield* integrateAll(yield* integratorOf(url))
    const refused = [
      "update gatekeeper.audit_tree set size = size - 1, partial = ''",
      "update gatekeeper.audit_tree set root = sha256('x')",
      "update gatekeeper.audit_tree set generation = 0",
      "delete from gatekeeper.audit_tree",
      "truncate gatekeeper.audit_tree",
      "insert into gatekeeper.audit_tree default values",
      ...["audit_bundle", "audit_subtree", "audit_run", "audit_checkpoint", "audit_cosignature"].flatMap((table) => [
        `delete from gatekeeper.${table}`,
        `truncate gatekeeper.${table} cascade`
      ]),
      "update gatekeeper.audit_run set n = n",
      "update gatekeeper.audit_bundle set index = index"
    ]
    for (const statement of refused) {
      const outcome = yield* Effect.either(query(url, statement))
      expect(outcome).toMatchObject({ left: { sqlstate: "42501" } })
    }
    expect(yield* verifiedTree(url)).toBe(300)
  })
)
