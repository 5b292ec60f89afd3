import * as Fs from "node:fs/promises"
import * as Path from "node:path"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { ExitCode } from "../../platform/cli/ExitCode.ts"
import { program } from "../../platform/cli/Help.ts"
import { home } from "../../platform/config/Settings.ts"
import * as CheckpointFile from "../journal/CheckpointFile.ts"
import { indexOf } from "../journal/Segments.ts"

/** There is no journal where one was said to be. */
export class JournalUnknown extends Schema.TaggedError<JournalUnknown>()("JournalUnknown", {
  path: Schema.String,
  problem: Schema.Literal("no such directory", "it holds no part of one", "it is the directory of journals")
}) {
  readonly exitCode = ExitCode.notFound
  override get message(): string {
    return `there is no journal in ${this.path}: ${this.problem}. Those that there are: ${program} trail status`
  }
}

const uuid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/

/** A directory of another kind would look like a journal that is damaged, and be worked on as one. */
const problemOf = (path: string, names: ReadonlyArray<string>): JournalUnknown["problem"] | undefined => {
  if (uuid.test(Path.basename(path))) return undefined
  if (names.some((name) => name === CheckpointFile.stateName || indexOf(name) !== undefined)) return undefined
  return names.some((name) => uuid.test(name)) ? "it is the directory of journals" : "it holds no part of one"
}

/** The journal that is meant by a path, or by the uuid of a source whose journal is under GRAVITAS_HOME. */
export const journalAt = (given: string): Effect.Effect<string, JournalUnknown> =>
  Effect.gen(function* () {
    const path = uuid.test(given) ? Path.resolve(yield* Effect.orDie(home), "journal", given) : Path.resolve(given)
    const isThere = yield* Effect.promise(() =>
      Fs.stat(path).then(
        (found) => found.isDirectory(),
        () => false
      )
    )
    // One that may not be looked into is told of by what reads it.
    const names = yield* Effect.promise(() => Fs.readdir(path).catch(() => undefined))
    const problem = isThere ? names && problemOf(path, names) : "no such directory"
    return problem === undefined ? path : yield* new JournalUnknown({ path, problem })
  })
