import { readFileSync } from "node:fs"
import { join } from "node:path"
import { describe, expect, it } from "@effect/vitest"
import { project } from "../support/Program.ts"

interface Fault {
  readonly was: string
  /** The tests that fail where it is back: file below test/, and title. */
  readonly proofs: ReadonlyArray<readonly [file: string, title: string]>
}

/** What was wrong with the system before this one, by the number that its list gives. */
const faults: Readonly<Record<number, Fault>> = {
  1: {
    was: "all services shared one schema version, so that all but the first to start had no tables",
    proofs: [["app/Start", "gives each service its own tables, in any order, alone or together (fault 1)"]]
  },
  2: {
    was: "a migration that failed was logged at best, and the service started",
    proofs: [
      ["app/Start", "does not open its port on a schema that it could not migrate, and names the place (fault 2)"],
      [
        "migrator/Processes",
        "ends non-zero before its port opens if a revision fails, and names the error and its location"
      ]
    ]
  },
  3: {
    was: "a caller could erase its own row of the trail",
    proofs: [
      [
        "app/Validate",
        "lets no caller erase its own row: a shell_id that is a number, NULs and surrogates in metadata (fault 3)"
      ],
      ["app/Validate", "a resource over its length: recorded, cut, and marked as cut"]
    ]
  },
  4: {
    was: "without its database it said that it was connected, answered, and lost the events",
    proofs: [
      ["app/Settings", "says that the database is away, tries again, and gives up at the deadline (fault 4)"],
      [
        "app/Outage",
        "the gatekeeper decides within its bound, refuses past it, tells the truth, and writes each event once when it is back"
      ]
    ]
  },
  5: {
    was: "a kill lost nearly all that was answered, and an orderly end the write in flight",
    proofs: [
      ["chaos/Kill", "a gatekeeper that is killed under load, five times, and started again"],
      [
        "app/EndToEndKill",
        "whichever service is killed under load, the others answer as documented, all recover, and what was answered is in the trail"
      ],
      ["app/Stop", "by SIGTERM under load: every answer that was given has its row, once, and the exit is clean"]
    ]
  },
  6: {
    was: "the queue had no bound, and each event an INSERT of its own",
    proofs: [
      ["audit/AuditDrain", "a thousand waiting events take a handful of transactions, not one each"],
      [
        "app/Journal",
        "decisions go on past what the memory holds, through a SIGTERM, and each is in the trail once after the next start"
      ]
    ]
  },
  7: {
    was: "a request without a good token left no row",
    proofs: [["app/Validate", "records unauthenticated requests without a ghost (fault 7)"]]
  },
  8: {
    was: "only an admin could infer, and shells/* matched shellsABC",
    proofs: [
      [
        "app/EndToEnd",
        "answers the official client through router, gatekeeper, guardian and echo, and one request id finds every hop"
      ],
      ["app/Router", "a shell that the caller may not use is skipped (fault 8)"],
      ["gatekeeper/policy/Policy", "lets a trailing /* match by whole segments only"]
    ]
  },
  9: {
    was: "a token was read by taking `Bearer ` out, from any issuer for any audience, under a secret that everybody knew",
    proofs: [
      ["gatekeeper/tokens/Tokens", "verifies what it issues, in whatever case the scheme is written"],
      ["gatekeeper/tokens/Tokens", "refuses a header without a bearer token, with a reason that holds no part of it"],
      ["gatekeeper/tokens/Tokens", "asks for issuer and audience where they are set"],
      ["gatekeeper/tokens/Tokens", "is never made up in production"]
    ]
  },
  10: {
    was: "AUTH_DISABLED made everybody an admin, and no row told",
    proofs: [
      [
        "app/AuthDisabled",
        "makes everybody the ghost anonymous, who may do what the policy says, in rows that are marked"
      ],
      ["gatekeeper/tokens/TokenSettings", "AUTH_DISABLED"]
    ]
  },
  11: {
    was: "no signature was verified, sessions were in memory, and a second start of one was allowed",
    proofs: [
      [
        "guardian/certificates/CertificateSigner",
        "is refused when any one bit of its signature is altered, each of them tried"
      ],
      [
        "app/GuardianCertificates",
        "certify nothing once their row is edited, and a revocation cannot be taken back (fault 11)"
      ],
      ["app/GuardianRestart", "is the same session after its guardian was killed and started again (fault 11)"],
      ["app/GuardianSessions", "let exactly one of 50 starts at once win, on two processes (fault 11)"]
    ]
  },
  12: {
    was: "the router read the last message alone, hid failures and the model behind the one asked for, and kept no history",
    proofs: [
      ["router/protocol/ChatRequest", "keeps all messages as they came, parts and calls of tools included (fault 12)"],
      [
        "router/providers/OpenAiProvider",
        "sends the whole conversation, the limits and its key, and asks for the usage"
      ],
      ["app/Router", "streams for the official client, with the usage where it is asked for"],
      ["app/Router", "max_tokens is honoured (fault 12)"],
      [
        "app/Router",
        "the router falls back to the next shell before the first byte, authorises each, and names the one that answered"
      ],
      ["app/Router", "completes for the official client, and every hop is in the trail under one request id"],
      [
        "app/RouterUpstream",
        "a shell that keeps failing is left alone, then tried with one request; neither its words nor its key are shown"
      ]
    ]
  },
  13: {
    was: "times had no zone, metadata was Python, a limit was pasted into SQL, and a failed query was an empty page",
    proofs: [
      ["app/Validate", "stores metadata as JSON and times with their zone (fault 13)"],
      ["app/AuditEvents", "treats SQL in a filter as text (fault 13)"],
      ["audit/AuditReader", "a database that is away or hangs is an error within the deadline, never an empty page"]
    ]
  }
}

const unrun = (what: string) => new RegExp(`\\b(${what})(\\.\\w+)*\\.(skip|skipIf|runIf|todo|fails)\\b`)

/** The title of a test, or of a group of some, that runs: no comment's, and neither it nor what it stands in is skipped. */
const isTested = (text: string, title: string): boolean => {
  const exact = JSON.stringify(title).replace(/[.*+?^${}()|[\]\\]/g, "\\$&")
  const test = (call: string) => new RegExp(`^ *${call}\\(\\s*${exact}`, "m").test(text)
  if (/\b(describe|it)(\.\w+)*\.only\b/.test(text) || unrun("describe").test(text)) return false
  return test("it(\\.(effect|live|scoped|scopedLive|prop))*") || (test("describe") && !unrun("it").test(text))
}

describe("the faults of the system before this one", () => {
  it.each([
    ['  it("a", () => {', true],
    ['it.scopedLive(\n  "a",\n  () =>', true],
    ['it.effect.prop("a", [', true],
    ['  it.skip("a", () => {', false],
    ['  it.effect.skip("a", () => {', false],
    ['  // it("a", () => {', false],
    ['describe("a", () => {\n  it.effect.each(cases)("%s", () => {', true],
    ['describe.todo("a")', false],
    ['describe("a", () => {\n  it.live.skip("b", () => {', false],
    ['it("a", () => {})\nit.live.runIf(linux)("b", () => {', true],
    ['it("a", () => {})\nit.only("b", () => {', false],
    ['const title = "a"', false],
    ['describe.skip("group", () => {\n  it("a", () => {', false],
    ['it("a b", () => {', false]
  ])("are held by tests that run: %j", (text, expected) => expect(isTested(text, "a")).toBe(expected))

  it("are thirteen", () => expect(Object.keys(faults).map(Number)).toEqual(Array.from({ length: 13 }, (_, i) => i + 1)))

  for (const [number, { proofs, was }] of Object.entries(faults)) {
    for (const [file, title] of proofs) {
      it(`${number}: ${was}: has the test "${title}"`, () => {
        const text = readFileSync(join(project, "test", `${file}.test.ts`), "utf8")
        expect(isTested(text, title)).toBe(true)
      })
    }
  }
})
