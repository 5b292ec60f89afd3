import { expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as FastCheck from "effect/FastCheck"
import { intakeOf } from "../../../src/audit/store/IntakeRows.ts"
import { checkState, IndexedNumbers, integrating, type SourceRun } from "../../../src/audit/tree/Integration.ts"
import { integrateStep } from "../../../src/audit/tree/IntegrationStep.ts"
import { encodeEntry, entryLength } from "../../../src/audit/tree/verify/LeafEntry.ts"
import { emptyRoot } from "../../../src/audit/tree/verify/MerkleProofs.ts"
import { runAtOnce } from "../../../src/platform/os/EventLoop.ts"
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
  const { entries, runs } = intakeOf([first, second, fourth, fifth])
  expect(runs.map(({ firstSeq, n }) => [firstSeq, n])).toEqual([
    [first.seq, 2],
    [fourth.seq, 2]
  ])
  const expected = [first, second, fourth, fifth].map(({ id, leafHash }) =>
    encodeEntry({ format: 1, id, digest: leafHash })
  )
  expect(Buffer.from(entries).equals(Buffer.concat(expected))).toBe(true)
  expect(intakeOf([]).runs).toEqual([])
})

const source = "0193a5b0-7c6e-7def-8123-456789abcdef"
const run = (firstSeq: number, n: number) => ({ source, firstSeq, n })

it("of a run, the parts that no earlier run has are left", () => {
  const parts = (known: ReadonlyArray<SourceRun>) => new IndexedNumbers(known).add(run(10, 10)).parts
  expect(parts([])).toEqual([run(10, 10)])
  expect(parts([run(1, 9), run(20, 5)])).toEqual([run(10, 10)])
  expect(parts([run(18, 9), run(1, 11), run(13, 2)])).toEqual([run(12, 1), run(15, 3)])
  expect(parts([run(1, 100)])).toEqual([])
  expect(parts([{ ...run(1, 100), source: "another" }])).toEqual([run(10, 10)])
})

it.prop(
  "each number of a source is in one part, in whatever order and however often its runs come",
  [FastCheck.array(FastCheck.tuple(FastCheck.integer({ min: 1, max: 60 }), FastCheck.integer({ min: 1, max: 20 })))],
  ([queued]) => {
    const indexed = new IndexedNumbers([])
    const covered = new Set<number>()
    for (const [firstSeq, n] of queued) {
      const expected = Array.from({ length: n }, (_, at) => firstSeq + at).filter((seq) => !covered.has(seq))
      const { parts } = indexed.add(run(firstSeq, n))
      expect(parts.flatMap((part) => Array.from({ length: part.n }, (_, at) => part.firstSeq + at))).toEqual(expected)
      for (const seq of expected) covered.add(seq)
    }
  }
)

it("work on many known runs gives way to other work", () => {
  const known = Array.from({ length: 16_384 }, (_, at) => run(at + 1, 1))
  const queue = Array.from({ length: 64 }, (_, at) => ({
    ...run(at * 256 + 1, 256),
    no: String(at),
    entries: new Uint8Array()
  }))
  const empty = { size: 0, root: emptyRoot, edge: new Uint8Array(), partial: new Uint8Array() }
  expect([...integrating(empty, queue, known)]).toHaveLength(64)
})

it("runs that follow each other in a step are one run", () => {
  const entries = (n: number) => new Uint8Array(n * entryLength).fill(1)
  const queue = [run(1, 2), run(3, 1), run(9, 1)].map((queued, at) => ({
    ...queued,
    no: String(at),
    entries: entries(queued.n)
  }))
  const empty = { size: 0, root: emptyRoot, edge: new Uint8Array(), partial: new Uint8Array() }
  const { runs, state } = runAtOnce(integrating(empty, queue, []))
  expect(runs).toEqual([
    { ...run(1, 3), firstIndex: 0 },
    { ...run(9, 1), firstIndex: 3 }
  ])
  expect(() => checkState(state)).not.toThrow()
  expect(() => checkState({ ...state, root: emptyRoot })).toThrow(RangeError)
  expect(() => checkState({ ...state, partial: state.partial.slice(entryLength) })).toThrow(RangeError)
  expect(() => checkState({ ...state, partial: Buffer.from(state.partial).fill(2, 0, 1) })).toThrow(RangeError)
  expect(() => checkState({ ...state, edge: new Uint8Array(64) })).toThrow(RangeError)
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

it.scopedLive(
  "a step on a state that another integrator moved on is refused, also where no lock and no key stops it",
  () =>
    Effect.gen(function* () {
      const url = yield* gatekeeperDatabase
      const { log } = yield* openTrail(url)
      yield* recordMany(log, 100)
      yield* settled(log)
      const late = yield* integratorOf(url)
      const other = yield* integratorOf(url)
      const unlocked = integrateStep({
        ...late,
        query: (text, ...rest) =>
          text.includes("pg_try_advisory")
            ? late.query('select true as "isLocked"')
            : text.includes("insert into gatekeeper.audit_run")
              ? Effect.zipRight(integrateAll(other), late.query("select 1"))
              : late.query(text.replace(" for update", ""), ...rest)
      })
      expect(yield* Effect.flip(unlocked)).toMatchObject({ sqlstate: "40001" })
      expect(yield* verifiedTree(url)).toBe(100)
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
