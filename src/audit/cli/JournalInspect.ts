import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { commandFailed, runCommand } from "../../platform/cli/CommandRunner.ts"
import { visibleJson } from "../../platform/cli/Visible.ts"
import type { JournalRecord } from "./JournalFacts.ts"
import { journalAt } from "./JournalPlace.ts"
import { factsOf, recordsOf } from "./JournalReading.ts"
import { factsJson, renderFacts } from "./JournalRendering.ts"

interface Shown {
  readonly json: boolean
  readonly noColor: boolean
}

const command = "journal inspect"

/** `journal inspect`: what the files of a journal say. */
export const inspectJournal = (place: string, given: Shown) =>
  runCommand({
    ...given,
    command,
    work: Effect.flatMap(journalAt(place), factsOf),
    render: renderFacts,
    toJson: factsJson
  })

/** The event is put in as it stands in the file: it is canonical JSON. */
const lineOf = (one: JournalRecord): string => {
  const place = `"segment":${JSON.stringify(one.segment)},"offset":${one.offset}`
  return one._tag === "Record"
    ? visibleJson(`{${place},"seq":${one.seq},"event":${one.json}}`)
    : `{${place},"bytes":${one.bytes},"damage":"${one.kind}"}`
}

/** `journal inspect --events`: a line for each record and each damaged span, in order; nothing else is on stdout. */
export const printRecords = (place: string) =>
  journalAt(place).pipe(
    Effect.flatMap((path) => Stream.runForEach(recordsOf(path), (record) => Console.log(lineOf(record)))),
    Effect.mapError(commandFailed)
  )
