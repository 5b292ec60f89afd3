import * as Os from "node:os"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { runCommand, type Verdict } from "../../platform/cli/CommandRunner.ts"
import { ExitCode } from "../../platform/cli/ExitCode.ts"
import { program } from "../../platform/cli/Help.ts"
import { JournalInUse } from "../journal/Journal.ts"
import * as JournalDirectory from "../journal/JournalDirectory.ts"
import type { JournalFacts } from "./JournalFacts.ts"
import { journalAt } from "./JournalPlace.ts"
import { factsOf } from "./JournalReading.ts"
import { factsJson, renderFacts } from "./JournalRendering.ts"
import { type Repaired, repair } from "./JournalRepair.ts"

interface Given {
  readonly repair: boolean
  readonly json: boolean
  readonly noColor: boolean
}

interface Checked {
  /** After the repair, where there was one. */
  readonly facts: JournalFacts
  readonly repaired: Repaired | null
}

const counted = (count: number, one: string): ReadonlyArray<string> =>
  count === 0 ? [] : [`${count} ${one}${count === 1 ? "" : "s"}`]

const damageOf = ({ segments, state }: JournalFacts): ReadonlyArray<string> => [
  ...(state === null ? ["its state cannot be read"] : []),
  ...counted(segments.filter(({ header }) => header !== "whole").length, "unreadable header"),
  ...counted(
    segments.reduce((sum, { corruptSpans }) => sum + corruptSpans, 0),
    "corrupt span"
  ),
  ...counted(segments.filter(({ tornBytes }) => tornBytes > 0).length, "torn tail")
]

/** Null when the journal was whole. */
export const fsckVerdict = ({ facts, repaired }: Checked): Verdict | null => {
  const damage = damageOf(facts)
  const { path } = facts
  if (damage.length > 0) {
    const next =
      repaired === null
        ? `To put it aside: ${program} journal fsck ${path} --repair`
        : "That cannot be repaired; its records are read all the same"
    return {
      error: "JournalDamaged",
      message: `the journal ${path} is damaged: ${damage.join(", ")}. ${next}`,
      exitCode: ExitCode.journalDamaged
    }
  }
  if (repaired === null || repaired.putAside + repaired.cutBytes === 0) return null
  const did = [
    ...counted(repaired.putAside, "corrupt span").map((spans) => `${spans} put aside`),
    ...(repaired.cutBytes > 0 ? [`torn tails of ${repaired.cutBytes} bytes cut`] : [])
  ]
  return {
    error: "JournalRepaired",
    message: `the journal ${path} is repaired: ${did.join(", ")}`,
    exitCode: ExitCode.journalRepaired
  }
}

const nothingDone: Repaired = { putAside: 0, cutBytes: 0 }

const check = (path: string, wanted: boolean) =>
  Effect.gen(function* () {
    const lock = yield* Effect.acquireRelease(
      JournalDirectory.lock(path, Os.hostname()),
      Option.match({ onNone: () => Effect.void, onSome: ({ release }) => release })
    )
    if (Option.isNone(lock)) return yield* new JournalInUse({ path, holder: yield* JournalDirectory.holderOf(path) })
    const found = yield* factsOf(path)
    const { identity } = found
    const repaired = !wanted ? null : identity === null ? nothingDone : yield* repair(path, identity.source)
    const facts = repaired === null ? found : yield* factsOf(path)
    // The holder is this command, which is about to end.
    const checked: Checked = { facts: { ...facts, holder: null }, repaired }
    return checked
  }).pipe(Effect.scoped)

/** `journal fsck`. */
export const checkJournal = (place: string, given: Given) =>
  runCommand({
    ...given,
    command: "journal fsck",
    work: Effect.flatMap(journalAt(place), (path) => check(path, given.repair)),
    render: ({ facts }, colours) => renderFacts(facts, colours),
    toJson: ({ facts, repaired }) => ({
      ...factsJson(facts),
      repaired: repaired === null ? null : { put_aside: repaired.putAside, cut_bytes: repaired.cutBytes }
    }),
    verdict: fsckVerdict,
    exitCodes: { JournalInUse: ExitCode.journalInUse }
  })
