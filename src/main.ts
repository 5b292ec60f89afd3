import { fileURLToPath } from "node:url"
import * as Args from "@effect/cli/Args"
import * as Command from "@effect/cli/Command"
import * as HelpDoc from "@effect/cli/HelpDoc"
import * as PlatformConfigProvider from "@effect/platform/PlatformConfigProvider"
import * as NodeContext from "@effect/platform-node/NodeContext"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { serviceNames } from "./domain/Service.ts"
import { boundedEnd, type Ending, exitCode, lastWords } from "./launch/Ending.ts"
import type { Place } from "./launch/Place.ts"
import { serve } from "./launch/Serve.ts"
import { storage } from "./launch/Storage.ts"
import { tokenCommand } from "./launch/TokenCommand.ts"
import { migrateCommand } from "./migrator/commands/Commands.ts"
import { appVersion } from "./platform/AppVersion.ts"
import * as Logging from "./platform/Logging.ts"
import { plainInPipes } from "./platform/PlainConsole.ts"
import { Settings } from "./platform/Settings.ts"

const ending: Ending = { signal: undefined, serving: false, unwritten: 0 }
for (const signal of ["SIGINT", "SIGTERM"] as const) {
  process.once(signal, () => {
    ending.signal ??= signal
  })
}

const place: Place = {
  directory: process.cwd(),
  runner: fileURLToPath(new URL("../node_modules/.bin/tsx", import.meta.url)),
  program: fileURLToPath(import.meta.url)
}

const services = Args.text({ name: "service" }).pipe(
  Args.withDescription(`Which to run: ${serviceNames.join(", ")}; all of them where none is named.`),
  Args.mapEffect((name) => {
    const service = serviceNames.find((one) => one === name)
    const problem = `${JSON.stringify(name)} is neither a service (${serviceNames.join(", ")}) nor a command (migrate, token)`
    return service === undefined ? Effect.fail(HelpDoc.p(problem)) : Effect.succeed(service)
  }),
  Args.repeated
)

/** Read where a command needs them, so that `--help` works whatever the environment says. */
const settings = Layer.provide(Settings.layer, PlatformConfigProvider.layerDotEnvAdd(".env"))

const commandOutput = Layer.provideMerge(Logging.layer("stderr"), settings)

const gravitas = Command.make("gravitas", { services }, ({ services }) =>
  serve(
    services.length === 0 ? serviceNames : serviceNames.filter((one) => services.includes(one)),
    place,
    boundedEnd(ending),
    (count) =>
      Effect.sync(() => {
        ending.unwritten = count
      })
  ).pipe(Effect.provide(settings))
).pipe(
  Command.withDescription(
    "Runs the services, each on its own port. Examples: `gravitas` runs all three; `gravitas gatekeeper router` those two; " +
      "`gravitas migrate status` shows the schemas; `gravitas token Scout` prints a token."
  ),
  Command.withSubcommands([
    migrateCommand((services) => storage(services, { join: true })).pipe(Command.provide(commandOutput)),
    tokenCommand.pipe(Command.provide(commandOutput))
  ])
)

Command.run(gravitas, { name: "Gravitas", version: appVersion, executable: "gravitas" })(process.argv).pipe(
  plainInPipes,
  Effect.provide(NodeContext.layer),
  NodeRuntime.runMain({
    disableErrorReporting: true,
    disablePrettyLogger: true,
    teardown: (exit, onExit) => {
      const words = lastWords(exit)
      if (words !== undefined) process.stderr.write(`${words}\n`)
      onExit(exitCode(exit, ending))
    }
  })
)
