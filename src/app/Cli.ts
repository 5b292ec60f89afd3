import * as Args from "@effect/cli/Args"
import * as Command from "@effect/cli/Command"
import * as HelpDoc from "@effect/cli/HelpDoc"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { deadLettersCommand } from "../audit/cli/DeadLettersCommand.ts"
import { journalCommand } from "../audit/cli/JournalCommand.ts"
import { trailCommand } from "../audit/cli/TrailCommand.ts"
import { serviceNames } from "../domain/Service.ts"
import { policyCommand } from "../gatekeeper/cli/PolicyCommand.ts"
import { certificateCommand } from "../guardian/cli/CertificateCommand.ts"
import { migrateCommand } from "../migrator/cli/Commands.ts"
import { emptyReport, emptyServicesReport } from "../platform/cli/CommandRunner.ts"
import { unambiguous } from "../platform/cli/Flags.ts"
import { groupHelp, helpOf } from "../platform/cli/Help.ts"
import { reportUsage } from "../platform/cli/UsageReport.ts"
import { appVersion } from "../platform/config/AppVersion.ts"
import { startWords } from "../platform/config/ProgramLocation.ts"
import { Settings } from "../platform/config/Settings.ts"
import { ShutdownReport } from "../platform/os/ShutdownReport.ts"
import * as Logging from "../platform/telemetry/Logging.ts"
import { dotEnv } from "./DotEnv.ts"
import { boundedEnd, type ExitStatus } from "./ExitStatus.ts"
import type { ProgramLocation } from "./ProgramLocation.ts"
import { storage } from "./Storage.ts"
import { tokenCommand } from "./TokenCommand.ts"

const [runner, program] = startWords

const place: ProgramLocation = { directory: process.cwd(), runner, program }

const services = Args.text({ name: "service" }).pipe(
  Args.withDescription(`Which to run: ${serviceNames.join(", ")}; all of them where none is named.`),
  Args.mapEffect((name) => {
    const service = serviceNames.find((one) => one === name)
    const problem =
      `${JSON.stringify(name)} is neither a service (${serviceNames.join(", ")}) nor a command ` +
      "(migrate, trail, journal, dead-letters, policy, certificate, token)"
    return service === undefined ? Effect.fail(HelpDoc.p(problem)) : Effect.succeed(service)
  }),
  Args.repeated
)

/** Loaded where it is run: a command needs none of the services' code, and reading it would take half of its time. */
const serving = Effect.promise(() => import("./Serve.ts"))

/** Read where a command needs them, so that `--help` works whatever the environment says. */
const settings = Layer.provide(Settings.layer, dotEnv(".env"))

const commandOutput = Layer.provideMerge(Logging.layer("stderr"), settings)

/** Where the trail is. */
const trailDatabase = storage(["gatekeeper"], { join: true })

const certificateDatabase = storage(["gatekeeper", "guardian"], { join: true })

/** What a command changes has its rows, as what a service changes. */
const commandTrail = Layer.unwrapEffect(
  Effect.map(
    Effect.promise(() => import("../gatekeeper/Gatekeeper.ts")),
    // The exit code of a command does not depend on its trail, so it has a report of its own.
    ({ trail }) => Layer.provide(trail, ShutdownReport.layer)
  )
)

/** Commands that print one object with `--json`. */
const reporting = new Map<string, object>([
  ["migrate", emptyServicesReport],
  ["trail", emptyReport],
  ["journal", emptyReport],
  ["dead-letters", emptyReport],
  ["certificate", emptyReport],
  ["policy", emptyReport]
])

/** What follows the program's own path. */
const argumentsOf = (words: ReadonlyArray<string>): ReadonlyArray<string> => words.slice(2)

const commandWords = (words: ReadonlyArray<string>) => argumentsOf(words).filter((word) => !word.startsWith("-"))

const asksForHelp = (words: ReadonlyArray<string>): boolean =>
  argumentsOf(words).some((word) => word === "--help" || word === "-h")

/** The whole command line: the services, and the commands beside them. `ending` learns how it goes. */
export const commandLine = (ending: ExitStatus, words: ReadonlyArray<string>) => {
  const migrate = migrateCommand((services) => storage(services, { join: true })).pipe(Command.provide(commandOutput))
  const trail = trailCommand(trailDatabase).pipe(Command.provide(commandOutput))
  const journal = journalCommand.pipe(Command.provide(dotEnv(".env")))
  const deadLetters = deadLettersCommand(trailDatabase).pipe(Command.provide(commandOutput))
  const certificate = certificateCommand(certificateDatabase, commandTrail).pipe(Command.provide(commandOutput))
  const policy = policyCommand.pipe(Command.provide(dotEnv(".env")))
  const gravitas = Command.make("gravitas", { services }, ({ services }) => {
    const chosen = services.length === 0 ? serviceNames : serviceNames.filter((one) => services.includes(one))
    return Effect.flatMap(serving, ({ serve }) => serve(chosen, place, boundedEnd(ending))).pipe(
      Effect.provideService(ShutdownReport, ending.report),
      Effect.provide(settings)
    )
  }).pipe(
    Command.withDescription(
      helpOf("Runs the services, each on its own port; all three where none is named.", [
        "gravitas",
        "gravitas gatekeeper router",
        "gravitas migrate status      # where the schemas stand",
        "gravitas token Scout         # a token, alone on stdout",
        "gravitas --completions bash  # the shell completes its words"
      ])
    ),
    Command.withSubcommands([
      migrate,
      trail,
      journal,
      deadLetters,
      certificate,
      policy,
      tokenCommand.pipe(Command.provide(commandOutput))
    ])
  )
  const helps: ReadonlyMap<string, () => string> = new Map([
    ["", () => groupHelp(gravitas, "gravitas", "gravitas [<service>...] | gravitas <command> [options]")],
    ["migrate", () => groupHelp(migrate, "gravitas migrate")],
    ["trail", () => groupHelp(trail, "gravitas trail")],
    ["journal", () => groupHelp(journal, "gravitas journal")],
    ["dead-letters", () => groupHelp(deadLetters, "gravitas dead-letters")],
    ["certificate", () => groupHelp(certificate, "gravitas certificate")],
    ["policy", () => groupHelp(policy, "gravitas policy")]
  ])
  const help = asksForHelp(words) ? helps.get(commandWords(words).join(" ")) : undefined
  if (help !== undefined) return Console.log(help())
  const run = Command.run(gravitas, { name: "Gravitas", version: appVersion, executable: "gravitas" })
  return reportUsage(words, reporting)(run(unambiguous(words)))
}
