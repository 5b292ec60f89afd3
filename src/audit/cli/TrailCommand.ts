import * as Args from "@effect/cli/Args"
import * as Command from "@effect/cli/Command"
import * as Options from "@effect/cli/Options"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import { type CommandError, runCommand } from "../../platform/cli/CommandRunner.ts"
import { flag, limitOption, outputOptions } from "../../platform/cli/Flags.ts"
import { withHelp } from "../../platform/cli/Help.ts"
import type { Database } from "../../platform/postgres/Database.ts"
import { trailCopyCommands } from "./TrailCopyCommands.ts"

/** Loaded when the command runs, so that other commands start faster. */
const modules = Effect.promise(() => Promise.all([import("./TrailStatus.ts"), import("./TrailRendering.ts")]))

const requestModule = Effect.promise(() => import("./RequestTree.ts"))

const proofModule = Effect.promise(() => import("./ProofVerification.ts"))

const proofFile = Args.text({ name: "file" }).pipe(Args.withDescription("A proof file (.tlog-proof) with its event."))

const logKey = Options.text("key").pipe(
  Options.withDescription("The verifier key of the log: name+id+base64, as the log publishes it.")
)

const witnessKeys = Options.text("witness").pipe(
  Options.withDescription("The verifier key of a witness that has to have signed; may be repeated."),
  Options.repeated
)

/** Needs no database, so that an auditor can run it anywhere. */
const verifyProofCommand = Command.make(
  "verify-proof",
  { file: proofFile, key: logKey, witnesses: witnessKeys, ...outputOptions },
  ({ file, key, witnesses, ...options }) =>
    Effect.flatMap(proofModule, ({ renderProof, verifyProof }) =>
      runCommand({
        ...options,
        command: "trail verify-proof",
        work: verifyProof({ file, key, witnesses }),
        render: renderProof,
        toJson: (proved) => proved
      })
    )
).pipe(
  withHelp(
    "Verifies that the event in a proof file (C2SP tlog-proof) is in a signed checkpoint of the log. Needs no database, no network and " +
      "no secret. Exits with 0 when the proof holds, 5 when it does not.",
    [
      "trail verify-proof event.tlog-proof --key KEY",
      "trail verify-proof event.tlog-proof --key KEY --witness KEY --json"
    ]
  )
)

const requestId = Args.text({ name: "request-id" }).pipe(
  Args.withDescription("The X-Request-Id of an answer; every event of the request has it.")
)

const gaps = flag("gaps").pipe(
  Options.withDescription("Search for the numbers of each source that have neither a row nor a dead letter.")
)

/** `trail` and its subcommands. `database` contains the gatekeeper's. */
export const trailCommand = <E extends CommandError, R>(database: Layer.Layer<Database, E, R>) => {
  const status = Command.make(
    "status",
    { gaps, limit: limitOption(20, "of the newest sources"), ...outputOptions },
    ({ gaps, limit, ...options }) =>
      Effect.flatMap(modules, ([{ trailStatus, trailVerdict }, { renderTrail, trailJson }]) =>
        runCommand({
          ...options,
          command: "trail status",
          work: trailStatus(database, { gaps, limit }),
          render: renderTrail,
          toJson: trailJson,
          verdict: trailVerdict
        })
      )
  ).pipe(
    withHelp(
      "Accounts for every event, from the database and the journals, with or without a running server. For each source (one " +
        "life of a process): offered = committed + pending + dead letters + quarantined + refused + shed + lost. Shows the " +
        "newest sources, and older ones that have a journal or events that are pending, lost or unaccounted for. Exits with " +
        "0 when every event is accounted for, 3 when events are lost or unaccounted for, 4 when dead letters wait, 9 when " +
        "the database is unreachable (the journals are still shown).",
      ["trail status", "trail status --gaps", "trail status --limit 100 --json"]
    )
  )
  const request = Command.make("request", { id: requestId, ...outputOptions }, ({ id, ...options }) =>
    Effect.flatMap(requestModule, ({ readRequest, renderRequest, requestJson }) =>
      runCommand({
        ...options,
        command: "trail request",
        work: readRequest(database, id),
        render: renderRequest,
        toJson: requestJson
      })
    )
  ).pipe(
    withHelp(
      "Shows one request through all services as a tree: each resource that it was about, what was decided and done there, and when. " +
        "Exits with 11 when the trail has no event of that id.",
      ["trail request try-1", "trail request try-1 --json"]
    )
  )
  return Command.make("trail").pipe(
    withHelp(
      "Shows where the events of the audit trail are, what one request did, and keeps copies of its database apart.",
      ["trail status", "trail status --gaps", "trail request try-1", 'trail fork --reason "a copy for the load test"']
    ),
    Command.withSubcommands([status, request, verifyProofCommand, ...trailCopyCommands(database)])
  )
}
