import * as Os from "node:os"
import * as Args from "@effect/cli/Args"
import * as Command from "@effect/cli/Command"
import * as Options from "@effect/cli/Options"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import type { AuditLog } from "../../audit/AuditLog.ts"
import type { CommandError } from "../../platform/cli/CommandRunner.ts"
import { flag } from "../../platform/cli/Flags.ts"
import { helpOf } from "../../platform/cli/Help.ts"
import { outputOptions } from "../../platform/cli/OutputOptions.ts"
import type { Database } from "../../platform/postgres/Database.ts"

/** Loaded where it is run: other commands, which share the command line, need none of it. */
const running = Effect.promise(() => import("./ImportRun.ts"))

const loginName = Effect.orElseSucceed(
  Effect.try(() => Os.userInfo().username),
  () => "somebody"
)

const directory = Args.text({ name: "directory" }).pipe(
  Args.withDescription("Where the .json files are: {agent_name, issued_at, expires_at, signature, version} each.")
)

const resign = flag("resign").pipe(
  Options.withDescription(
    "Issue a new certificate, with its dates, for each that nobody signed or whose signature means nothing here."
  )
)

const assumeUtc = flag("assume-utc").pipe(
  Options.withDescription("Take times without a zone for UTC; else they are refused.")
)

const dryRun = flag("dry-run").pipe(Options.withDescription("Say what would become of each file, and change nothing."))

/** `certificate` and its commands. `database` holds the guardian's, and what `trail` needs. */
export const certificateCommand = <E extends CommandError, R, E2 extends CommandError, R2>(
  database: Layer.Layer<Database, E, R>,
  trail: Layer.Layer<AuditLog, E2, R2>
) => {
  const importing = Command.make("import", { directory, resign, assumeUtc, dryRun, ...outputOptions }, (given) =>
    Effect.flatMap(Effect.all([running, loginName]), ([{ runImport }, by]) =>
      runImport(database, trail, { ...given, by })
    )
  ).pipe(
    Command.withDescription(
      helpOf(
        "Takes over the certificates of a directory. Those that nobody signed are refused, unless they are to be signed anew. " +
          "Harmless when repeated. Exits with 3 when some files were refused; the others are imported.",
        [
          "certificate import certificates --dry-run",
          "certificate import certificates --resign --assume-utc",
          "certificate import certificates --resign --json"
        ]
      )
    )
  )
  return Command.make("certificate").pipe(
    Command.withDescription(
      helpOf("Takes over certificates from files.", ["certificate import certificates --dry-run"])
    ),
    Command.withSubcommands([importing])
  )
}
