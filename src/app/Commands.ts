import * as Args from "@effect/cli/Args"
import * as Command from "@effect/cli/Command"
import * as HelpDoc from "@effect/cli/HelpDoc"
import * as ConfigProvider from "effect/ConfigProvider"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import { deadLettersCommand } from "../audit/cli/DeadLettersCommand.ts"
import { journalCommand } from "../audit/cli/JournalCommand.ts"
import { trailCommand } from "../audit/cli/TrailCommand.ts"
import { didYouMean } from "../domain/ClosestName.ts"
import { serviceNames } from "../domain/Service.ts"
import { ghostCommand } from "../gatekeeper/cli/GhostCommand.ts"
import { policyCommand } from "../gatekeeper/cli/PolicyCommand.ts"
import { serviceCommand } from "../gatekeeper/cli/ServiceCommand.ts"
import { certificateCommand } from "../guardian/cli/CertificateCommand.ts"
import { migrateCommand } from "../migrator/cli/Commands.ts"
import { ScratchServer } from "../migrator/inspect/ScratchDatabase.ts"
import { commandTree, type DescribedCommand } from "../platform/cli/CommandTree.ts"
import { quotedWord } from "../platform/cli/Flags.ts"
import { helpOf } from "../platform/cli/Help.ts"
import { ShutdownReport } from "../platform/os/ShutdownReport.ts"
import * as Logging from "../platform/telemetry/Logging.ts"
import { RouterSettings } from "../router/RouterSettings.ts"
import * as AllSettings from "./AllSettings.ts"
import { boundedEnd, delayedEnd, type ExitStatus } from "./ExitStatus.ts"
import { nodeWarning } from "./NodeVersion.ts"
import { schemas } from "./Schemas.ts"
import { scratchServer, storage } from "./Storage.ts"
import { tokenCommand } from "./TokenCommand.ts"
import { settingWarnings } from "./UnknownSettings.ts"

const commandNames = [
  "migrate",
  "trail",
  "journal",
  "dead-letters",
  "policy",
  "certificate",
  "ghost",
  "service",
  "token"
] as const

const services = Args.text({ name: "service" }).pipe(
  Args.withDescription(`Which to run: ${serviceNames.join(", ")}. Default: all.`),
  Args.mapEffect((name) => {
    const service = serviceNames.find((one) => one === name)
    const problem =
      `${quotedWord(name)} is neither a service (${serviceNames.join(", ")}) nor a command (${commandNames.join(", ")})` +
      didYouMean(name, [...serviceNames, ...commandNames])
    return service === undefined ? Effect.fail(HelpDoc.p(problem)) : Effect.succeed(service)
  }),
  Args.repeated
)

/** Loaded only where services run: a command does not need their code, and loading it would take half of its time. */
const serving = Effect.promise(() => import("./Serve.ts"))

/** Read only by commands that need them, so that `--help` works in any environment. */
const settings = Layer.provide(AllSettings.layer, AllSettings.dotEnv(".env"))

/** With a delimiter that no name has, the provider's children are the variables themselves. */
const environmentNames = ConfigProvider.fromEnv({ pathDelim: "\0", seqDelim: "," })
  .flattened.enumerateChildren([])
  .pipe(
    Effect.map((names) => [...names]),
    Effect.orElseSucceed(() => [])
  )

/** Logs what most likely was meant as a setting and is not known. */
const unknownSettings = Layer.effectDiscard(
  Effect.gen(function* () {
    const { modelsPath } = yield* RouterSettings
    const known = AllSettings.variables.map(({ name }) => name)
    const warnings = yield* settingWarnings(yield* environmentNames, known, modelsPath)
    yield* Effect.forEach(warnings, (warning) => Effect.logWarning(warning))
  })
)

const oldNode = Layer.effectDiscard(
  Effect.flatMap(DateTime.now, (now) => {
    const warning = nodeWarning(process.versions.node, DateTime.formatIsoDateUtc(now))
    return warning === undefined ? Effect.void : Effect.logWarning(warning)
  })
)

const commandOutput = unknownSettings.pipe(Layer.provideMerge(Logging.layer("stderr")), Layer.provideMerge(settings))

const trailDatabase = storage(["gatekeeper"], { join: true })

const certificateDatabase = storage(["gatekeeper", "guardian"], { join: true })

/** A command records its changes in the trail, as a service does. */
const commandTrail = Layer.unwrapEffect(
  Effect.map(
    Effect.promise(() => import("../gatekeeper/Gatekeeper.ts")),
    // The exit code of a command does not depend on its trail, so it has a report of its own.
    ({ trail }) => Layer.provide(trail, ShutdownReport.layer)
  )
)

const migratedServices = serviceNames.map((name) => schemas[name].service)

/** The services and the commands, and what their help shows. Records in `status` what the exit code depends on. */
export const programCommands = (status: ExitStatus) => {
  const migrate = migrateCommand(migratedServices, (services) => storage(services, { join: true })).pipe(
    Command.provideSync(ScratchServer, () => Option.some(scratchServer)),
    Command.provide(commandOutput)
  )
  const trail = trailCommand(trailDatabase).pipe(Command.provide(commandOutput))
  const journal = journalCommand.pipe(Command.provide(AllSettings.dotEnv(".env")))
  const deadLetters = deadLettersCommand(trailDatabase).pipe(Command.provide(commandOutput))
  const certificate = certificateCommand(certificateDatabase, commandTrail).pipe(Command.provide(commandOutput))
  const ghost = ghostCommand(trailDatabase, commandTrail).pipe(Command.provide(commandOutput))
  const service = serviceCommand(trailDatabase, commandTrail).pipe(Command.provide(commandOutput))
  const policy = policyCommand.pipe(Command.provide(AllSettings.dotEnv(".env")))
  const gravitas = Command.make("gravitas", { services }, ({ services }) => {
    const chosen = services.length === 0 ? serviceNames : serviceNames.filter((one) => services.includes(one))
    return Effect.flatMap(serving, ({ serve }) =>
      serve(chosen, {
        onReady: Layer.provide(boundedEnd(status), delayedEnd),
        onStart: Layer.merge(unknownSettings, oldNode)
      })
    ).pipe(Effect.provideService(ShutdownReport, status.report), Effect.provide(settings))
  }).pipe(
    Command.withDescription(
      helpOf("Runs the services, each on its own port. Default: all three.", [
        "gravitas",
        "gravitas gatekeeper router",
        "gravitas migrate status      # the revision of each schema",
        "gravitas token Scout         # prints a token",
        "gravitas --completions bash  # completion for the shell"
      ])
    ),
    Command.withSubcommands([
      migrate,
      trail,
      journal,
      deadLetters,
      certificate,
      ghost,
      policy,
      service,
      tokenCommand.pipe(Command.provide(commandOutput))
    ])
  )
  const groups = new Map<string, DescribedCommand>(
    Object.entries({ migrate, trail, journal, "dead-letters": deadLetters, certificate, ghost, policy, service })
  )
  return { gravitas, tree: commandTree(["gravitas"], gravitas, groups) }
}
