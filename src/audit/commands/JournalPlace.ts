import * as Fs from "node:fs/promises"
import * as Path from "node:path"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as Setting from "../../platform/Setting.ts"
import { ExitCode } from "./ExitCode.ts"
import { program } from "./Program.ts"

/** There is no journal where one was said to be. */
export class JournalUnknown extends Schema.TaggedError<JournalUnknown>()("JournalUnknown", {
  path: Schema.String
}) {
  readonly exitCode = ExitCode.unknown
  override get message(): string {
    return `there is no journal in ${this.path}: no such directory. Those that there are: ${program} trail status`
  }
}

/** As Settings reads it. A command that looks at files alone must work whatever the other settings are. */
const home = Effect.orDie(
  Setting.text("GRAVITAS_HOME", { expected: "a directory", example: ".gravitas" }).pipe(Setting.orDefault(".gravitas"))
)

const uuid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/

/** The journal that is meant by a path, or by the uuid of a source whose journal is under GRAVITAS_HOME. */
export const journalAt = (given: string): Effect.Effect<string, JournalUnknown> =>
  Effect.gen(function* () {
    const path = uuid.test(given) ? Path.resolve(yield* home, "journal", given) : Path.resolve(given)
    const isThere = yield* Effect.promise(() =>
      Fs.stat(path).then(
        (found) => found.isDirectory(),
        () => false
      )
    )
    return isThere ? path : yield* new JournalUnknown({ path })
  })
