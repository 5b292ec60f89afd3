import { readFileSync } from "node:fs"
import { join } from "node:path"
import { describe, expect, it } from "@effect/vitest"
import { aimEntries, boundText, isWithin } from "../../scripts/docs/performance/Aims.ts"
import { aimRows, performancePage } from "../../scripts/docs/performance/PerformancePage.ts"
import { parseReport, reportText } from "../../scripts/docs/performance/PerformanceReport.ts"
import { project } from "../support/Program.ts"

const committed = parseReport(readFileSync(join(project, "docs/performance.json"), "utf8"))

const withRatios = (ratios: Partial<typeof committed.ratios>) => ({
  ...committed,
  isBrief: false,
  ratios: { ...committed.ratios, ...ratios }
})

const rowOf = (ratios: Partial<typeof committed.ratios>, what: RegExp) =>
  aimRows(withRatios(ratios)).find(([first = ""]) => what.test(first))

describe("an aim", () => {
  it("is met at its bound and missed beyond it", () => {
    expect(isWithin({ atLeast: 2 }, 2)).toBe(true)
    expect(isWithin({ atLeast: 2 }, 1.99)).toBe(false)
    expect(isWithin({ atMost: 2 }, 2)).toBe(true)
    expect(isWithin({ atMost: 2 }, 2.01)).toBe(false)
    expect(isWithin({ atMost: 2 }, Number.NaN)).toBe(false)
    expect([boundText({ atLeast: 0.25 }), boundText({ atMost: 12 })]).toEqual([">= 0.25", "<= 12"])
  })

  it("says in its row what was before, what is asked, and what this run saw", () => {
    expect(rowOf({ startAtHead: 11.96 }, /^start at head/)).toEqual([
      "start at head, three services",
      "21 ms",
      "<= 12 ms",
      "11.96 ms",
      "met"
    ])
    expect(rowOf({ drainToCopy: 0.849 }, /^drain/)?.slice(2)).toEqual([">= 0.85", "0.85", "**missed**"])
  })

  it("is missed where it was not measured", () => {
    expect(rowOf({ chat: null }, /of a chat/)?.slice(3)).toEqual(["not measured", "**missed**"])
  })

  it("has a row in the order of the table", () => {
    expect(aimRows(committed).map(([what]) => what)).toEqual(aimEntries.map(([, { what }]) => what))
  })
})

describe("the page of performance", () => {
  it("counts the aims that are met", () => {
    const all = Object.fromEntries(aimEntries.map(([name, { atLeast, atMost }]) => [name, atLeast ?? atMost ?? null]))
    expect(performancePage(withRatios(all))).toContain(`${aimEntries.length} of ${aimEntries.length} are met.`)
    expect(performancePage(withRatios({ ...all, chat: 2.1 }))).toContain(
      `${aimEntries.length - 1} of ${aimEntries.length}`
    )
  })

  it("names the commit, the machine and every peer, and says what each lost", () => {
    const [first, ...others] = committed.http.peers
    if (first === undefined) throw new Error("the report has no peers")
    const killed = { ...first, title: "a peer", kept: 9, killed: { answered: 12_345, lost: 67 } }
    const page = performancePage({ ...committed, http: { ...committed.http, peers: [killed, ...others] } })
    expect(page).toContain("| 67 of 12 345 |")
    expect(page).toContain(committed.commit.slice(0, 12))
    expect(page).toContain(committed.machine.cpu)
    for (const { title } of [...others, ...committed.journaling.subjects, ...committed.migrations.peers]) {
      expect(page).toContain(`| ${title} |`)
    }
  })

  it("warns where a run was too short to mean anything, or its checkout was changed", () => {
    const brief = performancePage({ ...committed, isBrief: true })
    expect(brief).toContain("figures mean nothing")
    expect(brief).not.toMatch(/\bmet\b|missed/)
    expect(performancePage({ ...committed, isBrief: false })).not.toContain("figures mean nothing")
    expect(performancePage({ ...committed, isModified: true })).toContain("not committed")
  })
})

describe("a report", () => {
  it("is read back as it was written, a figure that is not a number as one that was not measured", () => {
    expect(parseReport(reportText(committed))).toEqual(committed)
    expect(parseReport(reportText(withRatios({ chat: Number.NaN }))).ratios.chat).toBeNull()
  })

  it("is refused where a figure is absent", () => {
    const { chat: _, ...ratios } = committed.ratios
    expect(() => parseReport(JSON.stringify({ ...committed, ratios }))).toThrow("chat")
  })
})
