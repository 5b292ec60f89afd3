import * as Args from "@effect/cli/Args"
import * as Command from "@effect/cli/Command"
import * as Options from "@effect/cli/Options"
import * as Effect from "effect/Effect"
import { flag, outputOptions } from "../../platform/cli/Flags.ts"
import { withHelp } from "../../platform/cli/Help.ts"

/** Loaded when the command runs, so that other commands start faster. */
const inspectModule = Effect.promise(() => import("./JournalInspect.ts"))
const fsckModule = Effect.promise(() => import("./JournalFsck.ts"))

const location = Args.text({ name: "dir" }).pipe(
  Args.withDescription("The journal's directory, or the uuid of a source whose journal is under GRAVITAS_HOME/journal.")
)

const events = flag("events").pipe(
  Options.withDescription("Print every record and damaged span instead, one JSON object per line.")
)

const repair = flag("repair").pipe(
  Options.withDescription("Cut torn tails and move corrupt records to the quarantine, beside the journals.")
)

const example = "0b1e6c1e-6f0f-4d52-9b8e-2f6f4f1c2a3d"

const inspect = Command.make("inspect", { location, events, ...outputOptions }, ({ events, location, ...options }) =>
  Effect.flatMap(inspectModule, ({ inspectJournal, printRecords }) =>
    events ? printRecords(location) : inspectJournal(location, options)
  )
).pipe(
  withHelp(
    "Shows the contents of a journal: its source, the process that holds it, its segments and their damage. Changes " +
      "nothing, and works while a process writes the journal. Exits with 0 when it could be read, 11 when there is none.",
    [
      `journal inspect ${example}`,
      `journal inspect .gravitas/journal/${example} --json`,
      `journal inspect ${example} --events | tail -n 1`
    ]
  )
)

const fsck = Command.make("fsck", { location, repair, ...outputOptions }, ({ location, ...options }) =>
  Effect.flatMap(fsckModule, ({ checkJournal }) => checkJournal(location, options))
).pipe(
  withHelp(
    "Checks a journal that no process uses. Exits with 0 when it is whole, 5 when it is damaged, 6 when damage was " +
      "repaired, 7 when a process uses it, 11 when there is none. A server repairs the journals that it takes over.",
    [`journal fsck ${example}`, `journal fsck ${example} --repair --json`]
  )
)

/** `journal` and its subcommands. They read files, and need neither a database nor most settings. */
export const journalCommand = Command.make("journal").pipe(
  withHelp("Inspects and repairs the journals that keep audit events until the database has them.", [
    `journal inspect ${example}`,
    `journal fsck ${example}`
  ]),
  Command.withSubcommands([inspect, fsck])
)
