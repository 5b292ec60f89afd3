import * as Command from "@effect/cli/Command"
import * as Options from "@effect/cli/Options"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { wrongUsage } from "../../platform/cli/CommandRunner.ts"
import { helpOf } from "../../platform/cli/Help.ts"
import { renderTable } from "../../platform/cli/Table.ts"
import { type LockState, unlock } from "../recover/Unlock.ts"
import { onDatabase } from "./DatabaseCommand.ts"
import { commandOptions, globalOptions } from "./GlobalOptions.ts"

const pid = Options.integer("pid").pipe(
  Options.withDescription("End this session, if it holds the lock. Its transaction rolls back."),
  Options.optional
)

const render = (states: ReadonlyArray<LockState>, colours: boolean): string =>
  renderTable(
    ["service", "lock", "held by", "pid", "role", "since", "state", "statement since"],
    states.map(({ ended, holder, service }) =>
      holder === null
        ? [{ text: service }, { text: "free", tone: "good" }, ...["", "", "", "", "", ""].map((text) => ({ text }))]
        : [
            { text: service },
            { text: ended ? "freed" : "held", tone: ended ? "good" : "warn" },
            ...[
              holder.applicationName,
              String(holder.pid),
              holder.user,
              holder.since,
              holder.state,
              holder.queryStart
            ].map((text) => ({ text: text ?? "-" }))
          ]
    ),
    colours
  )

export const unlockCommand = Command.make("unlock", { ...globalOptions, pid }, ({ pid, ...inner }) =>
  Effect.flatMap(commandOptions(inner), (options) =>
    onDatabase(options, {
      command: "unlock",
      effects: Option.isSome(pid) ? "writes" : "reads",
      refusal:
        Option.isSome(pid) && options.services.length > 1
          ? wrongUsage(
              "--pid ends the holder of one service's lock; name the service, for example --service gatekeeper"
            )
          : null,
      work: (service) => unlock(service, pid),
      render
    })
  )
).pipe(
  Command.withDescription(
    helpOf(
      "Shows which sessions hold the migration locks. With --pid it ends that session, if it holds the service's lock.",
      ["migrate unlock", "migrate unlock --service router --pid 4711"]
    )
  )
)
