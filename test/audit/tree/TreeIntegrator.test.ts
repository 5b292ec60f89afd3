import { expect, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Redacted from "effect/Redacted"
import { TreeIntegrator } from "../../../src/audit/tree/TreeIntegrator.ts"
import { hasUnqueuedRows } from "../../../src/audit/tree/UnqueuedRows.ts"
import { eventually } from "../../support/Eventually.ts"
import { batchOf, ingestOf } from "../../support/Ingests.ts"
import { gatekeeperDatabase, openTrail, query, recordMany, settled } from "../../support/Trail.ts"
import { integratorOf, verifiedTree } from "../../support/Trees.ts"

const runningOn = (url: Redacted.Redacted) =>
  Effect.map(
    Layer.build(TreeIntegrator.layerUrl({ url, pause: "10 millis", searchEvery: "100 millis" })),
    Context.get(TreeIntegrator)
  )

const sizeIs = (integrator: typeof TreeIntegrator.Service, size: number) =>
  eventually(integrator.status, (status) => status.size === size && status.lagRows === 0)

it.scopedLive("rows are integrated while they are written, by two integrators, and the status says how far", () =>
  Effect.gen(function* () {
    const url = yield* gatekeeperDatabase
    const first = yield* runningOn(url)
    const second = yield* runningOn(url)
    const { log } = yield* openTrail(url)
    yield* recordMany(log, 600)
    yield* sizeIs(first, 600)
    yield* sizeIs(second, 600)
    expect(yield* first.status).toEqual({ size: 600, lagRows: 0, lagSeconds: 0, problem: null })
    expect(yield* verifiedTree(url)).toBe(600)
  })
)

it.scopedLive("rows that a program without a tree wrote are found and integrated, once", () =>
  Effect.gen(function* () {
    const url = yield* gatekeeperDatabase
    const { log } = yield* openTrail(url)
    const { ingest } = yield* ingestOf(url)
    yield* recordMany(log, 400)
    yield* ingest("planner", batchOf(20))
    yield* settled(log)
    // As the program of the revision before leaves them.
    yield* query(url, "delete from gatekeeper.audit_intake")
    const connection = yield* integratorOf(url)
    expect(yield* hasUnqueuedRows(connection)).toBe(true)
    const integrator = yield* runningOn(url)
    yield* sizeIs(integrator, 420)
    expect(yield* hasUnqueuedRows(connection)).toBe(false)
    yield* recordMany(log, 10)
    yield* settled(log)
    yield* query(url, "delete from gatekeeper.audit_intake where no = (select max(no) from gatekeeper.audit_intake)")
    yield* sizeIs(integrator, 430)
    expect(yield* verifiedTree(url)).toBe(430)
  })
)

it.scopedLive("an integrator whose session is ended goes on in another", () =>
  Effect.gen(function* () {
    const url = yield* gatekeeperDatabase
    const integrator = yield* runningOn(url)
    const { log } = yield* openTrail(url)
    yield* recordMany(log, 100)
    yield* sizeIs(integrator, 100)
    const ended = yield* query(
      url,
      `select pg_terminate_backend(pid) from pg_stat_activity
       where application_name = 'gravitas audit tree' and datname = current_database()`
    )
    expect(ended).toHaveLength(1)
    yield* recordMany(log, 100)
    yield* sizeIs(integrator, 200)
    expect(yield* verifiedTree(url)).toBe(200)
  })
)

it.scopedLive.each(["set_bit(edge, 3, 1 - get_bit(edge, 3))", "edge || substr(edge, 1, 32)"])(
  "nothing is built upon a damaged state, %s: the status says so, and the tree goes on once it is repaired",
  (damaged) =>
    Effect.gen(function* () {
      const url = yield* gatekeeperDatabase
      const { log } = yield* openTrail(url)
      const integrator = yield* runningOn(url)
      yield* recordMany(log, 300)
      yield* sizeIs(integrator, 300)
      const [state] = yield* query(url, "select encode(edge, 'hex') as edge from gatekeeper.audit_tree")
      const setEdge = (edge: string) =>
        query(
          url,
          `do $$ begin
            alter table gatekeeper.audit_tree disable trigger audit_tree_forward;
            update gatekeeper.audit_tree set edge = ${edge};
            alter table gatekeeper.audit_tree enable always trigger audit_tree_forward;
          end $$`
        )
      yield* setEdge(damaged)
      yield* recordMany(log, 10)
      const seen = yield* eventually(integrator.status, (status) => status.problem !== null)
      expect(seen.problem).toContain("the tree of the audit trail is damaged")
      expect(seen.size).toBe(300)
      yield* setEdge(`decode('${String(state?.["edge"])}', 'hex')`)
      yield* sizeIs(integrator, 310)
      expect((yield* integrator.status).problem).toBeNull()
      expect(yield* verifiedTree(url)).toBe(310)
    })
)

it.scopedLive(
  "a defect does not end the integrator: the status names it, and the tree goes on once its cause is gone",
  () =>
    Effect.gen(function* () {
      const url = yield* gatekeeperDatabase
      const { log } = yield* openTrail(url)
      const integrator = yield* runningOn(url)
      yield* recordMany(log, 100)
      yield* sizeIs(integrator, 100)
      // A bigint is read as a text, which is not what the rows are decoded as.
      yield* query(url, "alter table gatekeeper.audit_intake alter column n type bigint")
      yield* recordMany(log, 10)
      const { problem } = yield* eventually(integrator.status, (status) => status.problem !== null)
      expect(problem).toContain('Expected number, actual "10"')
      yield* query(url, "alter table gatekeeper.audit_intake alter column n type integer")
      yield* sizeIs(integrator, 110)
      expect(yield* verifiedTree(url)).toBe(110)
    })
)
