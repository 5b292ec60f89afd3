import * as Args from "@effect/cli/Args"
import * as Command from "@effect/cli/Command"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import type { AuditLog } from "../../audit/AuditLog.ts"
import type { CommandError } from "../../platform/cli/CommandRunner.ts"
import { outputOptions } from "../../platform/cli/Flags.ts"
import { helpOf } from "../../platform/cli/Help.ts"
import type { Database } from "../../platform/postgres/Database.ts"

/** Loaded when the command runs, so that other commands start faster. */
const actions = Effect.promise(() => import("./ServiceActions.ts"))

const name = Args.text({ name: "name" }).pipe(
  Args.withDescription("guardian, router, or guardian+router for both in one process.")
)

const publicKey = Args.text({ name: "public-key" }).pipe(
  Args.withDescription("What `service key` prints where the service runs.")
)

const keyId = Args.text({ name: "key-id" }).pipe(Args.withDescription("As `service list` shows it."))

/** `service` and its commands. `database` contains the gatekeeper's; `trail` records what changes. */
export const serviceCommand = <E extends CommandError, R, E2 extends CommandError, R2>(
  database: Layer.Layer<Database, E, R>,
  trail: Layer.Layer<AuditLog, E2, R2>
) => {
  const key = Command.make("key", { name, ...outputOptions }, (given) =>
    Effect.flatMap(actions, ({ showKey }) => showKey(given))
  ).pipe(
    Command.withDescription(
      helpOf("Prints the public key of a service in this GRAVITAS_HOME, and makes the key where it does not exist.", [
        "service key guardian"
      ])
    )
  )
  const enroll = Command.make("enroll", { name, publicKey, ...outputOptions }, (given) =>
    Effect.flatMap(actions, ({ enrollKey }) => enrollKey(database, trail, given))
  ).pipe(
    Command.withDescription(
      helpOf(
        "Makes the key of a service known to the gatekeepers, beside the keys that it has. Recorded in the trail.",
        ["service enroll guardian 11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"]
      )
    )
  )
  const list = Command.make("list", outputOptions, (given) =>
    Effect.flatMap(actions, ({ listKeys }) => listKeys(database, given))
  ).pipe(
    Command.withDescription(helpOf("Lists the keys of services, also those that were withdrawn.", ["service list"]))
  )
  const withdraw = Command.make("withdraw", { keyId, ...outputOptions }, (given) =>
    Effect.flatMap(actions, ({ withdrawKey }) => withdrawKey(database, trail, given))
  ).pipe(
    Command.withDescription(
      helpOf(
        "Withdraws a key for good: no gatekeeper gives a token for it after a few seconds. Recorded in the trail.",
        ["service withdraw kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"]
      )
    )
  )
  return Command.make("service").pipe(
    Command.withDescription(
      helpOf("Shows, enrols and withdraws the keys by which services in processes of their own prove themselves.", [
        "service key guardian",
        "service enroll guardian <public-key>"
      ])
    ),
    Command.withSubcommands([key, enroll, list, withdraw])
  )
}
