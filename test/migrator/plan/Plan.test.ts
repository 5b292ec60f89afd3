import { describe, expect, it } from "@effect/vitest"
import * as Either from "effect/Either"
import * as FastCheck from "effect/FastCheck"
import { type Revision, revisionName } from "../../../src/migrator/files/Revision.ts"
import { makeRevisionSet } from "../../../src/migrator/files/RevisionSet.ts"
import type { HistoryEntry } from "../../../src/migrator/history/MigrationHistory.ts"
import * as Plan from "../../../src/migrator/plan/Plan.ts"
import { Target } from "../../../src/migrator/plan/Target.ts"

const fileOf = (number: number, { irreversible = false, phase = "expand" } = {}) => ({
  file: `${revisionName(number, `r${number}`)}.sql`,
  content:
    `-- migrate:up phase:${phase}\nselect ${number};\n` +
    (irreversible ? "-- migrate:irreversible too late\n" : `-- migrate:down\nselect -${number};\n`)
})
const setOf = (...files: ReadonlyArray<ReturnType<typeof fileOf>>) =>
  Either.getOrThrow(makeRevisionSet("router", "migrations/router", files))
const three = setOf(fileOf(1), fileOf(2), fileOf(3))

const entryOf = (revision: Revision, change: Partial<HistoryEntry> = {}): HistoryEntry => ({
  revision: revision.number,
  slug: revision.slug,
  kind: "sql",
  phase: revision.phase,
  state: "applied",
  up_checksum: revision.up.checksum,
  down_checksum: revision.reversal._tag === "Down" ? revision.reversal.section.checksum : null,
  down_script: revision.reversal._tag === "Down" ? revision.reversal.section.text : null,
  irreversible_reason: revision.reversal._tag === "Irreversible" ? revision.reversal.reason : null,
  steps_done: 1,
  steps_total: 1,
  steps_begun: 1,
  step_checksums: [],
  progress: {},
  started_at: new Date(0),
  finished_at: new Date(0),
  duration_ms: 1,
  applied_by: "owner",
  app_version: "0",
  tool_version: 1,
  ...change
})
const historyOf = (set: typeof three, count = set.revisions.length, change: Partial<HistoryEntry> = {}) =>
  set.revisions.slice(0, count).map((revision) => entryOf(revision, revision.number === count ? change : {}))

/** `+1 +2`, `-3 -2`, or the tag of the refusal. */
const decided = (...args: Parameters<typeof Plan.make>): string =>
  Either.match(Plan.make(...args), {
    onLeft: ({ _tag }) => _tag,
    onRight: ({ steps }) =>
      steps.map((step) => (step._tag === "Apply" ? `+${step.revision.number}` : `-${step.entry.revision}`)).join(" ")
  })

const to = (number: number, slug: string | null = null) => ({ number, slug })

describe("a plan", () => {
  it.each<[what: string, applied: number, target: Target, expected: string]>([
    ["nothing applied, to head", 0, Target.Head(), "+1 +2 +3"],
    ["one applied, to head", 1, Target.Head(), "+2 +3"],
    ["at head, to head", 3, Target.Head(), ""],
    ["up to a revision", 0, Target.UpTo(to(2)), "+1 +2"],
    ["up to a revision by its whole name", 0, Target.UpTo(to(2, "r2")), "+1 +2"],
    ["two forward", 1, Target.Forward({ count: 2 }), "+2 +3"],
    ["up past the head", 1, Target.Forward({ count: 3 }), "RevisionUnknown"],
    ["up to what is behind", 2, Target.UpTo(to(1)), "TargetBehind"],
    ["up to a number with another name", 0, Target.UpTo(to(2, "other")), "RevisionUnknown"],
    ["down to base", 3, Target.DownTo(to(0)), "-3 -2 -1"],
    ["down to a revision, which stays", 3, Target.DownTo(to(1)), "-3 -2"],
    ["down to the current one", 2, Target.DownTo(to(2)), ""],
    ["one back", 2, Target.Back({ count: 1 }), "-2"],
    ["further back than base", 2, Target.Back({ count: 3 }), "RevisionUnknown"],
    ["one back and forward again", 2, Target.Redo({ count: 1 }), "-2 +2"],
    ["all back and forward again", 3, Target.Redo({ count: 3 }), "-3 -2 -1 +1 +2 +3"],
    ["further back and forward than base", 1, Target.Redo({ count: 2 }), "RevisionUnknown"],
    ["down to what is ahead", 1, Target.DownTo(to(2)), "TargetBehind"]
  ])("%s", (_, applied, target, expected) => {
    expect(decided(three, historyOf(three, applied), target)).toBe(expected)
  })

  it.each<[what: string, change: Partial<HistoryEntry>, expected: string]>([
    ["an edited up", { up_checksum: "0" }, "ChecksumMismatch"],
    ["an edited down", { down_checksum: "0" }, "ChecksumMismatch"],
    ["another revision of that number", { slug: "other" }, "RevisionConflict"],
    ["a hole", { revision: 3 }, "RevisionConflict"]
  ])("refuses %s, whatever the target", (_, change, expected) => {
    for (const target of [Target.Head(), Target.DownTo(to(0)), Target.Back({ count: 1 })]) {
      expect(decided(three, historyOf(three, 2, change), target)).toBe(expected)
    }
  })

  const half = (state: HistoryEntry["state"], change: Partial<HistoryEntry> = {}) =>
    historyOf(three, 2, { state, steps_done: 1, steps_total: 2, ...change })
  it.each<[what: string, history: ReadonlyArray<HistoryEntry>, target: Target, expected: string]>([
    ["half applied, to head: continues it", half("applying"), Target.Head(), "+2 +3"],
    ["half applied, one forward: only it", half("applying"), Target.Forward({ count: 1 }), "+2"],
    [
      "half applied with an edited file: its statements are compared later",
      half("applying", { up_checksum: "0" }),
      Target.Head(),
      "+2 +3"
    ],
    ["half applied, to what is before it", half("applying"), Target.UpTo(to(1)), "PartlyApplied"],
    ["half applied, and down", half("applying"), Target.Back({ count: 1 }), "PartlyApplied"],
    ["half applied, and its file another", half("applying", { slug: "other" }), Target.Head(), "PartlyApplied"],
    [
      "a data revision half applied, and edited",
      half("applying", { kind: "ts", up_checksum: "0" }),
      Target.Head(),
      "PartlyApplied"
    ],
    ["half reverted, the same command again", half("reverting"), Target.Back({ count: 1 }), "-2"],
    ["half reverted, down to base", half("reverting"), Target.DownTo(to(0)), "-2 -1"],
    ["half reverted, to itself", half("reverting"), Target.DownTo(to(2)), "PartlyApplied"],
    ["half reverted, and up", half("reverting"), Target.Head(), "PartlyApplied"],
    [
      "half applied below others",
      historyOf(three).map((entry) => (entry.revision === 2 ? { ...entry, state: "applying" } : entry)),
      Target.Head(),
      "PartlyApplied"
    ]
  ])("%s", (_, history, target, expected) => {
    expect(decided(three, history, target)).toBe(expected)
  })

  it("names the command that fixes it: renumber for a late file, repair for a half-way or edited one", () => {
    const told = (history: ReadonlyArray<HistoryEntry>, target: Target = Target.Head()) =>
      Either.getOrThrow(Either.flip(Plan.make(three, history, target))).message
    const service = "pnpm migrate --service router"
    expect(told(historyOf(three, 2, { slug: "other" }))).toContain(`${service} renumber 0002_r2`)
    expect(told(historyOf(three).filter(({ revision }) => revision !== 2))).toContain(`${service} stamp 0002_r2`)
    expect(told(historyOf(three, 2, { up_checksum: "0" }))).toContain(
      `${service} repair --accept-checksum 0002_r2 --reason`
    )
    expect(told(half("reverting"))).toContain(`${service} downgrade 0001_r1`)
    expect(told(half("applying"), Target.DownTo(to(0)))).toContain(`${service} upgrade 0002_r2`)
  })

  it.each<[what: string, change: Partial<HistoryEntry>, target: Target, expected: string]>([
    ["expands: it is ahead", {}, Target.Head(), ""],
    ["takes something away", { phase: "contract" }, Target.Head(), "PartlyApplied"],
    ["is half reverted", { state: "reverting" }, Target.Head(), "PartlyApplied"],
    ["expands, to a revision by number", {}, Target.UpTo(to(2)), "PartlyApplied"],
    ["expands, down", {}, Target.Back({ count: 1 }), "PartlyApplied"]
  ])("with a half-way revision that is unknown here and %s", (_, change, target, expected) => {
    const two = { ...three, revisions: three.revisions.slice(0, 2) }
    const history = historyOf(three, 3, { state: "applying", phase: "expand", ...change })
    expect(decided(two, history, target)).toBe(expected)
    if (expected !== "") return
    const plan = Either.getOrThrow(Plan.make(two, history, target))
    expect([plan.current, plan.ahead.map(({ slug }) => slug)]).toEqual(["0002_r2", ["r3"]])
    // A known revision below it is pending: a gap in the history, not a database that is ahead.
    expect(decided(two, history.slice(2), target)).toBe("RevisionConflict")
  })

  it("accepts a database ahead of it that only expanded the schema, and refuses one that contracted it", () => {
    const one = setOf(fileOf(1))
    expect(decided(one, historyOf(three), Target.Head())).toBe("")
    const { ahead, current } = Either.getOrThrow(Plan.make(one, historyOf(three), Target.Head()))
    expect([ahead.length, current]).toEqual([2, "0003_r3"])
    expect(decided(one, historyOf(three, 3, { phase: "contract" }), Target.Head())).toBe("DatabaseAhead")
  })

  it("downgrades with the stored script if the file is missing", () => {
    const plan = Either.getOrThrow(Plan.make(setOf(fileOf(1)), historyOf(three), Target.DownTo(to(1))))
    expect(plan.steps.map((step) => step._tag === "Revert" && step.down.text)).toEqual([
      "-- migrate:down\nselect -3;",
      "-- migrate:down\nselect -2;"
    ])
  })

  it("refuses a downgrade through an irreversible revision before anything is reverted, and names the furthest target", () => {
    const set = setOf(fileOf(1), fileOf(2, { irreversible: true }), fileOf(3))
    expect(decided(set, historyOf(set), Target.Back({ count: 1 }))).toBe("-3")
    const refusal = Either.flip(Plan.make(set, historyOf(set), Target.DownTo(to(0)))).pipe(Either.getOrThrow)
    expect(refusal.exitCode).toBe(10)
    expect(refusal.message).toContain("0002_r2 (too late)")
    expect(refusal.message).toContain("downgrade 0002_r2")
  })

  it("refuses to redo a revision whose file is missing", () => {
    const older = setOf(fileOf(1))
    expect(decided(older, historyOf(three, 2), Target.Back({ count: 1 }))).toBe("-2")
    expect(decided(older, historyOf(three, 2), Target.Redo({ count: 1 }))).toBe("RevisionUnknown")
    expect(decided(older, historyOf(three, 3), Target.Redo({ count: 3 }))).toBe("RevisionUnknown")
    expect(decided(older, historyOf(three, 1), Target.Redo({ count: 1 }))).toBe("-1 +1")
  })

  it.prop(
    "leads from any revision to any other, one step at a time and without a gap",
    [FastCheck.integer({ min: 0, max: 3 }), FastCheck.integer({ min: 0, max: 3 })],
    ([from, goal]) => {
      const target = goal >= from ? Target.UpTo(to(goal)) : Target.DownTo(to(goal))
      const plan = Either.getOrThrow(Plan.make(three, historyOf(three, from).reverse(), target))
      let at = from
      for (const step of plan.steps) {
        const number = step._tag === "Apply" ? step.revision.number : step.entry.revision
        expect(number).toBe(step._tag === "Apply" ? at + 1 : at)
        at += step._tag === "Apply" ? 1 : -1
      }
      expect(at).toBe(goal)
    }
  )
})
