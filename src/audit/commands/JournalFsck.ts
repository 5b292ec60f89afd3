import * as Effect from "effect/Effect"
import { JournalInUse } from "../journal/Journal.ts"
import { runCommand, type Verdict } from "./CommandRun.ts"
import { ExitCode } from "./ExitCode.ts"
import type { JournalFacts } from "./JournalFacts.ts"
import { journalAt } from "./JournalPlace.ts"
import { factsOf } from "./JournalReading.ts"
import { factsJson, renderFacts } from "./JournalRendering.ts"

interface Given {
  readonly repair: boolean
  readonly json: boolean
  readonly noColor: boolean
}

export const fsckVerdict = ({ path, segments, state }: JournalFacts): Verdict | null => {
  const spans = segments.reduce((sum, { corruptSpans }) => sum + corruptSpans, 0)
  const torn = segments.filter(({ tornBytes }) => tornBytes > 0).length
  const headers = segments.filter(({ header }) => header === "damaged").length
  const found = [
    ...(state === null ? ["its state cannot be read"] : []),
    ...(headers > 0 ? [`${headers} damaged headers`] : []),
    ...(spans > 0 ? [`${spans} corrupt spans`] : []),
    ...(torn > 0 ? [`${torn} torn tails`] : [])
  ]
  return found.length === 0
    ? null
    : {
        error: "JournalDamaged",
        message: `the journal ${path} is damaged: ${found.join(", ")}`,
        exitCode: ExitCode.damaged
      }
}

/** `journal fsck`. */
export const checkJournal = (place: string, given: Given) =>
  runCommand({
    ...given,
    command: "journal fsck",
    work: Effect.gen(function* () {
      const path = yield* journalAt(place)
      const facts = yield* factsOf(path)
      return facts.holder === null ? facts : yield* new JournalInUse({ path, holder: facts.holder })
    }),
    render: renderFacts,
    toJson: factsJson,
    verdict: fsckVerdict
  })
