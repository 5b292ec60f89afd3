import * as Os from "node:os"
import * as Args from "@effect/cli/Args"
import * as Command from "@effect/cli/Command"
import * as Options from "@effect/cli/Options"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import type { AuditLog } from "../../audit/AuditLog.ts"
import type { CommandError } from "../../platform/cli/CommandRunner.ts"
import { flag, outputOptions } from "../../platform/cli/Flags.ts"
import { helpOf } from "../../platform/cli/Help.ts"
import { loginName } from "../../platform/cli/LoginName.ts"
import type { Database } from "../../platform/postgres/Database.ts"

/** Loaded when the command runs: the other commands of the program do not need it. */
const running = Effect.promise(() => import("./ImportRun.ts"))

const directory = Args.text({ name: "directory" }).pipe(
  Args.withDescription(
    "The directory of the .json files, each with {agent_name, issued_at, expires_at, signature, version}."
  )
)

const resign = flag("resign").pipe(
  Options.withDescription(
    "Issue a new certificate with the same dates for each that is not signed, or was signed by an unknown key."
  )
)

const assumeUtc = flag("assume-utc").pipe(
  Options.withDescription("Read times without a zone as UTC; without this option they are refused.")
)

const dryRun = flag("dry-run").pipe(Options.withDescription("Report the outcome of each file, and change nothing."))

/** `certificate` and its commands. `database` holds the guardian's, and what `trail` needs. */
export const certificateCommand = <E extends CommandError, R, E2 extends CommandError, R2>(
  database: Layer.Layer<Database, E, R>,
  trail: Layer.Layer<AuditLog, E2, R2>
) => {
  const importing = Command.make("import", { directory, resign, assumeUtc, dryRun, ...outputOptions }, (given) =>
    Effect.flatMap(Effect.all([running, loginName(Os.userInfo)]), ([{ runImport }, by]) =>
      runImport(database, trail, { ...given, by })
    )
  ).pipe(
    Command.withDescription(
      helpOf(
        "Imports the certificates of a directory. Those that are not signed are refused without --resign. " +
          "A repeat is harmless. Exits with 3 when some files were refused; the others are imported.",
        [
          "certificate import certificates --dry-run",
          "certificate import certificates --resign --assume-utc",
          "certificate import certificates --resign --json"
        ]
      )
    )
  )
  return Command.make("certificate").pipe(
    Command.withDescription(helpOf("Imports certificates from files.", ["certificate import certificates --dry-run"])),
    Command.withSubcommands([importing])
  )
}
