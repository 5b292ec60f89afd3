import * as Args from "@effect/cli/Args"
import * as Command from "@effect/cli/Command"
import * as HelpDoc from "@effect/cli/HelpDoc"
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import * as NodePath from "@effect/platform-node/NodePath"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as NodeTerminal from "@effect/platform-node/NodeTerminal"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { deadLettersCommand } from "../audit/cli/DeadLettersCommand.ts"
import { journalCommand } from "../audit/cli/JournalCommand.ts"
import { trailCommand } from "../audit/cli/TrailCommand.ts"
import { serviceNames } from "../domain/Service.ts"
import { ghostCommand } from "../gatekeeper/cli/GhostCommand.ts"
import { policyCommand } from "../gatekeeper/cli/PolicyCommand.ts"
import { serviceCommand } from "../gatekeeper/cli/ServiceCommand.ts"
import { certificateCommand } from "../guardian/cli/CertificateCommand.ts"
import { migrateCommand } from "../migrator/cli/Commands.ts"
import { emptyReport, emptyServicesReport, reportUsage } from "../platform/cli/CommandRunner.ts"
import { ExitCode } from "../platform/cli/ExitCode.ts"
import { unambiguous } from "../platform/cli/Flags.ts"
import { type CommandGroup, groupHelp, helpOf } from "../platform/cli/Help.ts"
import { appVersion } from "../platform/config/ProgramLocation.ts"
import { ShutdownReport } from "../platform/os/ShutdownReport.ts"
import { openStreams, StandardStreams, throughStreams } from "../platform/os/StandardStreams.ts"
import * as Logging from "../platform/telemetry/Logging.ts"
import * as AllSettings from "./AllSettings.ts"
import { boundedEnd, type ExitStatus, exitCode, exitMessage, holdSignals, outputMessage } from "./ExitStatus.ts"
import { schemas } from "./Schemas.ts"
import { storage } from "./Storage.ts"
import { tokenCommand } from "./TokenCommand.ts"

const services = Args.text({ name: "service" }).pipe(
  Args.withDescription(`Which to run: ${serviceNames.join(", ")}. Default: all.`),
  Args.mapEffect((name) => {
    const service = serviceNames.find((one) => one === name)
    const problem =
      `${JSON.stringify(name)} is neither a service (${serviceNames.join(", ")}) nor a command ` +
      "(migrate, trail, journal, dead-letters, policy, certificate, ghost, service, token)"
    return service === undefined ? Effect.fail(HelpDoc.p(problem)) : Effect.succeed(service)
  }),
  Args.repeated
)

/** Loaded only where services run: a command does not need their code, and loading it would take half of its time. */
const serving = Effect.promise(() => import("./Serve.ts"))

/** Read only by commands that need them, so that `--help` works in any environment. */
const settings = Layer.provide(AllSettings.layer, AllSettings.dotEnv(".env"))

const commandOutput = Layer.provideMerge(Logging.layer("stderr"), settings)

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

/** The whole command line: the services and the commands. Records in `status` what the exit code depends on. */
export const commandLine = (status: ExitStatus, words: ReadonlyArray<string>) => {
  const migrate = migrateCommand(migratedServices, (services) => storage(services, { join: true })).pipe(
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
    return Effect.flatMap(serving, ({ serve }) => serve(chosen, boundedEnd(status))).pipe(
      Effect.provideService(ShutdownReport, status.report),
      Effect.provide(settings)
    )
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
  if (asksForHelp(words)) {
    const name = commandWords(words).join(" ")
    const group = groups.get(name)
    if (group !== undefined) return Console.log(groupHelp(group, `gravitas ${name}`))
    const usage = "gravitas [<service>...] | gravitas <command> [options]"
    if (name === "") return Console.log(groupHelp(gravitas, "gravitas", usage))
  }
  // Each group has `--json`.
  const reporting = new Map(
    Array.from(groups.keys(), (name) => [name, name === "migrate" ? emptyServicesReport : emptyReport])
  )
  const run = Command.run(gravitas, { name: "Gravitas", version: appVersion, executable: "gravitas" })
  return reportUsage(words, reporting)(run(unambiguous(words)))
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
        onExit(code)
      }
    })
  )
}
