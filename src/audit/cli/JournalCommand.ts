import * as Args from "@effect/cli/Args"
import * as Command from "@effect/cli/Command"
import * as Options from "@effect/cli/Options"
import * as Effect from "effect/Effect"
import { flag, outputOptions } from "../../platform/cli/Flags.ts"
import { helpOf } from "../../platform/cli/Help.ts"

/** Loaded where they are run: other commands, which share the command line, need none of it. */
const inspecting = Effect.promise(() => import("./JournalInspect.ts"))
const checking = Effect.promise(() => import("./JournalFsck.ts"))

const place = Args.text({ name: "dir" }).pipe(
  Args.withDescription("The journal's directory, or the uuid of a source whose journal is under GRAVITAS_HOME/journal.")
)

const events = flag("events").pipe(
  Options.withDescription("Print every record instead, damaged spans too, one JSON object a line.")
)

const repair = flag("repair").pipe(
  Options.withDescription(
    "Cut torn tails; put corrupt records aside, their bytes in the quarantine beside the journals."
  )
)

const example = "0b1e6c1e-6f0f-4d52-9b8e-2f6f4f1c2a3d"

const inspect = Command.make("inspect", { place, events, ...outputOptions }, ({ events, place, ...given }) =>
  Effect.flatMap(inspecting, ({ inspectJournal, printRecords }) =>
    events ? printRecords(place) : inspectJournal(place, given)
  )
).pipe(
  Command.withDescription(
    helpOf(
      "Shows what is in a journal: whose it is, who holds it, its segments and their damage. Reads only, also beside the " +
        "process that writes it. Exits with 0 when it could be read, 11 when there is none.",
      [
        `journal inspect ${example}`,
        `journal inspect .gravitas/journal/${example} --json`,
        `journal inspect ${example} --events | tail -n 1`
      ]
    )
  )
)

const fsck = Command.make("fsck", { place, repair, ...outputOptions }, ({ place, repair, ...given }) =>
  Effect.flatMap(checking, ({ checkJournal }) => checkJournal(place, { repair, ...given }))
).pipe(
  Command.withDescription(
    helpOf(
      "Checks a journal that no process lives in. Exits with 0 when it is whole, 5 when it is damaged, 6 when damage was " +
        "repaired, 7 when a process lives in it, 11 when there is none. A server repairs what it takes over by itself.",
      [`journal fsck ${example}`, `journal fsck ${example} --repair --json`]
    )
  )
)

/** `journal` and its commands: they read files, and need neither a database nor most settings. */
export const journalCommand = Command.make("journal").pipe(
  Command.withDescription(
    helpOf("Looks into the journals that keep audit events until the database has them.", [
      `journal inspect ${example}`,
      `journal fsck ${example}`
    ])
  ),
  Command.withSubcommands([inspect, fsck])
)
