import * as Command from "@effect/cli/Command"
import * as HelpDoc from "@effect/cli/HelpDoc"
import * as ValidationError from "@effect/cli/ValidationError"
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import * as NodePath from "@effect/platform-node/NodePath"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as NodeTerminal from "@effect/platform-node/NodeTerminal"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { didYouMean } from "../domain/ClosestName.ts"
import { serviceNames } from "../domain/Service.ts"
import { emptyReport, emptyServicesReport, reportUsage } from "../platform/cli/CommandRunner.ts"
import { builtIns, type CommandNode, commandAt } from "../platform/cli/CommandTree.ts"
import { completionScript, shells } from "../platform/cli/Completions.ts"
import { ExitCode } from "../platform/cli/ExitCode.ts"
import { quotedWord, unambiguous } from "../platform/cli/Flags.ts"
import { renderHelp, usageOf } from "../platform/cli/HelpPage.ts"
import { coloursWanted } from "../platform/cli/TerminalText.ts"
import { appVersion, startWords } from "../platform/config/ProgramLocation.ts"
import { ShutdownReport } from "../platform/os/ShutdownReport.ts"
import { openStreams, StandardStreams, throughStreams } from "../platform/os/StandardStreams.ts"
import { programCommands } from "./Commands.ts"
import { afterOutput, type ExitStatus, exitCode, exitMessage, holdSignals, outputMessage } from "./ExitStatus.ts"

/** The words after the program's own path. */
const argumentsOf = (words: ReadonlyArray<string>): ReadonlyArray<string> => words.slice(2)

const isGroup = ({ commands, path }: CommandNode): boolean => commands.length > 0 && path.length > 1

const nameOf = ({ path }: CommandNode): string => path.slice(1).join(" ") || "gravitas"

/** The problem with the first of `options` that neither the command accepts nor one of those `below` it. */
const unknownOption = (
  command: CommandNode,
  options: ReadonlyArray<string>,
  below: ReadonlyArray<CommandNode> = []
): string | undefined => {
  const accepted = [command, ...below].flatMap((one) => one.options)
  const known = [...accepted.flatMap((one) => [one.name, ...one.aliases]), ...builtIns]
  const unknown = options.find((option) => !known.includes(option))
  return unknown === undefined
    ? undefined
    : `${nameOf(command)}: ${unknown} is not one of its options${didYouMean(unknown, known) || "."} To list them: ${command.path.join(" ")} --help`
}

/** The first thing that keeps the words from being a command line; undefined where the library decides. */
export const wrongUsage = (tree: CommandNode, words: ReadonlyArray<string>): string | undefined => {
  const { command, options, rest } = commandAt(tree, words)
  if (words.includes("--")) return undefined
  const name = nameOf(command)
  const unknown = unknownOption(command, options)
  if (unknown !== undefined) return unknown
  if (options.some((option) => builtIns.includes(option))) return undefined
  const takesMore = command.commands.length > 0 || command.arguments.some(({ isRepeated }) => isRepeated)
  const surplus = takesMore ? undefined : rest[command.arguments.length]
  if (surplus !== undefined) return `${name}: ${quotedWord(surplus)} is one argument too many: ${usageOf(command)}`
  const argument = command.arguments.filter(({ isOptional }) => !isOptional)[rest.length]
  if (argument !== undefined) return `${name}: ${argument.name} is missing: ${usageOf(command)}`
  const option = command.options.find(({ isOptional, name }) => !isOptional && !options.includes(name))
  return option === undefined ? undefined : `${name}: ${option.name} is missing: ${usageOf(command)}`
}

/**
 * Why a word behind a group's name is not one of its commands, if that is so. The library would name another group's. It may be the
 * value of an option that is not known.
 */
export const unknownCommand = (tree: CommandNode, words: ReadonlyArray<string>): string | undefined => {
  const { command, leading, rest } = commandAt(tree, words)
  const [given] = rest
  if (given === undefined || !isGroup(command)) return undefined
  const option = words.includes("--") ? undefined : unknownOption(command, leading, command.commands)
  if (option !== undefined) return option
  const names = command.commands.map(({ path }) => path.at(-1) ?? "")
  return `${command.path.at(-1)}: ${quotedWord(given)} is not one of its commands (${names.join(", ")})${didYouMean(given, names)}`
}

/** The shell whose completions are asked for; the text that was given where it is not one of them. */
const completionsFor = (words: ReadonlyArray<string>): string | undefined => {
  const index = words.findIndex((word) => /^--completions(=|$)/.test(word))
  return index === -1 ? undefined : (words[index]?.split("=")[1] ?? words[index + 1] ?? "")
}

const asksForHelp = (words: ReadonlyArray<string>): boolean =>
  words.some((word) => word === "--help" || word === "-h") || words[0] === "help"

const printHelp = (command: CommandNode) =>
  Effect.flatMap(coloursWanted(false), (colours) => Console.log(renderHelp(command, colours)))

const wrongLine = (problem: string) =>
  Effect.zipRight(
    Console.error(`gravitas: ${problem}`),
    Effect.fail(ValidationError.invalidArgument(HelpDoc.p(problem)))
  )

/** What the command line asks about the program itself; undefined where it runs a command. */
export const answerOf = (tree: CommandNode, words: ReadonlyArray<string>) => {
  const shell = completionsFor(words)
  if (shell !== undefined) {
    const known = shells.find((one) => one === shell)
    return known === undefined
      ? wrongLine(`--completions ${quotedWord(shell)} is not one of ${shells.join(", ")}`)
      : Console.log(completionScript(known, tree, serviceNames, startWords))
  }
  const wrongWord = unknownCommand(tree, words)
  if (wrongWord !== undefined) return wrongLine(wrongWord)
  const { command } = commandAt(tree, words[0] === "help" ? words.slice(1) : words)
  // `migrate` alone upgrades, and the program alone runs the services.
  const isGroupAlone = isGroup(command) && words.length === 1 && command.path.at(-1) !== "migrate"
  if (asksForHelp(words) || isGroupAlone) return printHelp(command)
  const wrong = wrongUsage(tree, words)
  return wrong === undefined ? undefined : wrongLine(wrong)
}

/** The whole command line: the services and the commands. Records in `status` what the exit code depends on. */
export const commandLine = (status: ExitStatus, words: ReadonlyArray<string>) => {
  const { gravitas, tree } = programCommands(status)
  const given = argumentsOf(words)
  // Each group has `--json`.
  const reporting = new Map(
    tree.commands
      .filter(isGroup)
      .map(({ path }) => [path.at(-1) ?? "", path.at(-1) === "migrate" ? emptyServicesReport : emptyReport])
  )
  const run = Command.run(gravitas, { name: "Gravitas", version: appVersion, executable: "gravitas" })
  return reportUsage(words, reporting)(answerOf(tree, given) ?? run(unambiguous(words)))
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
