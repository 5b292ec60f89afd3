import * as Command from "@effect/cli/Command"
import * as Options from "@effect/cli/Options"
import * as Effect from "effect/Effect"
import { ExitCode } from "../../platform/cli/ExitCode.ts"
import { flag } from "../../platform/cli/Flags.ts"
import { helpOf } from "../../platform/cli/Help.ts"
import { readStatus } from "../inspect/Status.ts"
import { onDatabase } from "./DatabaseCommand.ts"
import { commandOptions, globalOptions } from "./GlobalOptions.ts"
import { renderCurrent } from "./Rendering.ts"

const checkHead = flag("check-head").pipe(
  Options.withDescription(`End with ${ExitCode.pending} unless every service is at head.`)
)

export const currentCommand = Command.make("current", { ...globalOptions, checkHead }, ({ checkHead, ...inner }) =>
  Effect.flatMap(commandOptions(inner), (options) =>
    onDatabase(options, {
      command: "current",
      effects: "reads",
      work: (service) =>
        Effect.map(readStatus(service), ({ current, head }) => ({
          service: service.name,
          current,
          head,
          atHead: current === head
        })),
      render: renderCurrent,
      verdict: ({ atHead, current, head, service }) =>
        checkHead && !atHead
          ? {
              message: `${service} is at ${current}, not at head ${head}. To go there: pnpm migrate --service ${service} upgrade`,
              exitCode: ExitCode.pending
            }
          : null
    })
  )
).pipe(
  Command.withDescription(
    helpOf("Prints the current revision of each service.", ["migrate current", "migrate current --check-head"])
  )
)
