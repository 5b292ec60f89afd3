import * as Args from "@effect/cli/Args"
import * as Command from "@effect/cli/Command"
import * as HelpDoc from "@effect/cli/HelpDoc"
import * as ValidationError from "@effect/cli/ValidationError"
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import * as NodePath from "@effect/platform-node/NodePath"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as NodeTerminal from "@effect/platform-node/NodeTerminal"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Console from "effect/Console"
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
import { emptyReport, emptyServicesReport, reportUsage } from "../platform/cli/CommandRunner.ts"
import { ExitCode } from "../platform/cli/ExitCode.ts"
import { unambiguous } from "../platform/cli/Flags.ts"
import { type CommandGroup, commandsOf, groupHelp, helpOf } from "../platform/cli/Help.ts"
import { appVersion } from "../platform/config/ProgramLocation.ts"
import { ShutdownReport } from "../platform/os/ShutdownReport.ts"
import { openStreams, StandardStreams, throughStreams } from "../platform/os/StandardStreams.ts"
import * as Logging from "../platform/telemetry/Logging.ts"
import { RouterSettings } from "../router/RouterSettings.ts"
import * as AllSettings from "./AllSettings.ts"
import {
  afterOutput,
  boundedEnd,
  delayedEnd,
  type ExitStatus,
  exitCode,
  exitMessage,
  holdSignals,
  outputMessage
} from "./ExitStatus.ts"
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
      `${JSON.stringify(name)} is neither a service (${serviceNames.join(", ")}) nor a command (${commandNames.join(", ")})` +
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

/** The words after the program's own path. */
const argumentsOf = (words: ReadonlyArray<string>): ReadonlyArray<string> => words.slice(2)

const commandWords = (words: ReadonlyArray<string>) => argumentsOf(words).filter((word) => !word.startsWith("-"))

const asksForHelp = (words: ReadonlyArray<string>): boolean =>
  argumentsOf(words).some((word) => word === "--help" || word === "-h")

/** Why the word behind a group's name is not one of its commands, if that is so. The library would name another group's. */
export const unknownCommand = (
  groups: ReadonlyMap<string, CommandGroup>,
  [name = "", given = "-"]: ReadonlyArray<string>
): string | undefined => {
  const group = groups.get(name)
  if (group === undefined || given.startsWith("-")) return undefined
  const commands = commandsOf(group)
  return commands.includes(given)
    ? undefined
    : `gravitas ${name}: ${JSON.stringify(given)} is not one of its commands (${commands.join(", ")})${didYouMean(given, commands)}`
}

/** The whole command line: the services and the commands. Records in `status` what the exit code depends on. */
export const commandLine = (status: ExitStatus, words: ReadonlyArray<string>) => {
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
  const groups = new Map<string, CommandGroup>(
    Object.entries({ migrate, trail, journal, "dead-letters": deadLetters, certificate, ghost, policy, service })
  )
  const name = commandWords(words).join(" ")
  // `migrate` alone upgrades.
  const isGroupAlone = argumentsOf(words).length === 1 && groups.has(name) && name !== "migrate"
  if (asksForHelp(words) || isGroupAlone) {
    const group = groups.get(name)
    if (group !== undefined) return Console.log(groupHelp(group, `gravitas ${name}`))
    const usage = "gravitas [<service>...] | gravitas <command> [options]"
    if (name === "") return Console.log(groupHelp(gravitas, "gravitas", usage))
  }
  const wrongWord = unknownCommand(groups, argumentsOf(words))
  // Each group has `--json`.
  const reporting = new Map(
    Array.from(groups.keys(), (name) => [name, name === "migrate" ? emptyServicesReport : emptyReport])
  )
  const run = Command.run(gravitas, { name: "Gravitas", version: appVersion, executable: "gravitas" })
  const line =
    wrongWord === undefined
      ? run(unambiguous(words))
      : Effect.zipRight(Console.error(wrongWord), Effect.fail(ValidationError.commandMismatch(HelpDoc.p(wrongWord))))
  return reportUsage(words, reporting)(line)
}

/** Runs the command line and ends the process. ExitStatus.ts handles signals and failures. */
export const run = (): void => {
  const status: ExitStatus = { signal: undefined, serving: false, report: ShutdownReport.make() }
  const streams = openStreams()
  holdSignals(status)
  commandLine(status, process.argv).pipe(
    throughStreams(streams),
    Effect.provide([NodeFileSystem.layer, NodePath.layer, NodeTerminal.layer, Layer.succeed(StandardStreams, streams)]),
    NodeRuntime.runMain({
      disableErrorReporting: true,
      disablePrettyLogger: true,
      teardown: (exit, onExit) => {
        const code = exitCode(exit, status, streams.stdout.dropped() > 0)
        const message = code === ExitCode.outputDropped ? outputMessage(streams.stdout.problem()) : exitMessage(exit)
        if (message !== undefined) streams.stderr.write(`${message}\n`)
        // Where nothing keeps the process alive while it waits.
        process.exitCode = code
        afterOutput(streams, status, () => onExit(code))
      }
    })
  )
}
