import * as Fs from "node:fs/promises"
import * as Path from "node:path"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { ExitCode } from "../../platform/cli/ExitCode.ts"
import { program } from "../../platform/cli/Help.ts"
import { home } from "../../platform/config/Settings.ts"
import * as CheckpointFile from "../journal/CheckpointFile.ts"
import { indexOf } from "../journal/Segments.ts"

/** The given directory holds no journal. */
export class JournalUnknown extends Schema.TaggedError<JournalUnknown>()("JournalUnknown", {
  path: Schema.String,
  problem: Schema.Literal("no such directory", "it has no file of a journal", "it is the directory of all journals")
}) {
  readonly exitCode = ExitCode.notFound
  override get message(): string {
    return `there is no journal in ${this.path}: ${this.problem}. To list the journals: ${program} trail status`
  }
}

const uuid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/

/** Any other directory would be reported, and repaired, as a damaged journal. */
const problemOf = (path: string, names: ReadonlyArray<string>): JournalUnknown["problem"] | undefined => {
  if (uuid.test(Path.basename(path))) return undefined
  if (names.some((name) => name === CheckpointFile.stateName || indexOf(name) !== undefined)) return undefined
  return names.some((name) => uuid.test(name)) ? "it is the directory of all journals" : "it has no file of a journal"
}

/** Finds a journal by its path, or by the uuid of a source whose journal is under GRAVITAS_HOME. */
export const journalAt = (location: string): Effect.Effect<string, JournalUnknown> =>
  Effect.gen(function* () {
    const isSource = uuid.test(location)
    const path = isSource ? Path.resolve(yield* Effect.orDie(home), "journal", location) : Path.resolve(location)
    const isDirectory = yield* Effect.promise(() =>
      Fs.stat(path).then(
        (found) => found.isDirectory(),
        () => false
      )
    )
    // A directory without permission to read it is reported when its files are read.
    const names = yield* Effect.promise(() => Fs.readdir(path).catch(() => undefined))
    const problem = isDirectory ? names && problemOf(path, names) : "no such directory"
    return problem === undefined ? path : yield* new JournalUnknown({ path, problem })
  })
