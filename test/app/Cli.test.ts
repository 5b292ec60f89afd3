import { stripVTControlCharacters } from "node:util"
import * as NodeTerminal from "@effect/platform-node/NodeTerminal"
import { describe, expect, it } from "@effect/vitest"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { answerOf, unknownCommand, wrongUsage } from "../../src/app/Cli.ts"
import { programCommands } from "../../src/app/Commands.ts"
import { type CommandNode, commandAt } from "../../src/platform/cli/CommandTree.ts"
import { renderHelp, summaryOf, usageOf } from "../../src/platform/cli/HelpPage.ts"
import { ShutdownReport } from "../../src/platform/os/ShutdownReport.ts"

const { tree } = programCommands({ signal: undefined, serving: false, report: ShutdownReport.make() })

const below = (command: CommandNode): ReadonlyArray<CommandNode> => [command, ...command.commands.flatMap(below)]

const commands = below(tree).map((command) => ({ name: command.path.join(" "), command }))

describe("The word behind a group of commands", () => {
  it.each([
    [["migrate", "status"]],
    [["migrate", "--service", "router", "status"]],
    [["migrate", "--log-level", "debug", "status"]],
    [["migrate", "--sql", "--service", "router"]],
    [["migrate", "downgrade", "base"]],
    [["migrate"]],
    [["gatekeeper", "statu"]],
    [["ghost", "stop", "statu"]],
    [[]]
  ])("is left to the command line in %j", (words) => {
    expect(unknownCommand(tree, words)).toBeUndefined()
  })

  it.each([
    [["ghost", "stopp"], 'ghost: "stopp" is not one of its commands (resume, stop); did you mean stop?'],
    [["ghost", "--no-color", "fly"], 'ghost: "fly" is not one of its commands (resume, stop)']
  ])("is refused where it is not a command of the group, with the one that was meant, in %j", (words, problem) => {
    expect(unknownCommand(tree, words)).toBe(problem)
  })
})

describe("The answer to a command line", () => {
  it.effect.each([
    [
      "migrate --databse-url postgresql://u:secret@h/d",
      "migrate: --databse-url is not one of its options; did you mean --database-url? To list them: gravitas migrate --help"
    ],
    [
      "migrate --servce router status",
      "migrate: --servce is not one of its options; did you mean --service? To list them: gravitas migrate --help"
    ],
    ["ghost postgresql://u:secret@h/d", "ghost: a URL is not one of its commands (resume, stop)"],
    ["ghost stopp Scout --reason odd", 'ghost: "stopp" is not one of its commands (resume, stop); did you mean stop?'],
    ["--completions postgresql://u:secret@h/d", "--completions a URL is not one of bash, zsh, fish"],
    [
      "migrate downgrade --service router",
      "migrate downgrade: <target> is missing: gravitas migrate downgrade <target> [options]"
    ],
    [
      "migrate status postgresql://u:secret@h/d",
      "migrate status: a URL is one argument too many: gravitas migrate status [options]"
    ],
    [
      "migrate downgrade 1 2",
      'migrate downgrade: "2" is one argument too many: gravitas migrate downgrade <target> [options]'
    ]
  ] as const)("names the option or the word that is wrong, and never shows a URL: %s", ([line, problem]) =>
    Effect.gen(function* () {
      const console = yield* Effect.console
      const printed: Array<unknown> = []
      const answer = answerOf(tree, line.split(" ")) ?? Effect.void
      const exit = yield* Effect.exit(answer).pipe(
        Console.withConsole({ ...console, error: (text: unknown) => Effect.sync(() => void printed.push(text)) }),
        Effect.provide(NodeTerminal.layer)
      )
      expect(printed).toEqual([`gravitas: ${problem}`])
      expect(Exit.isFailure(exit)).toBe(true)
    })
  )
})

describe("A command line", () => {
  it.each([
    "migrate --service router upgrade 0002 --dry-run --lock-wait=5s",
    "migrate --dry-run status --JSON",
    "migrate downgrade -1 --service guardian",
    "migrate redo 2 --allow-data-loss",
    "ghost stop Scout --reason --odd",
    "journal inspect x --events",
    "guardian router --log-level debug",
    "migrate --log-level debug status",
    "migrate downgrade --service router base",
    "--version"
  ])("is left to the library: %j", (line) => {
    expect(wrongUsage(tree, line.split(" "))).toBeUndefined()
  })

  it.each([
    [
      "trail status --limt 3",
      "trail status: --limt is not one of its options; did you mean --limit? To list them: gravitas trail status --help"
    ],
    ["migrate downgrade", "migrate downgrade: <target> is missing: gravitas migrate downgrade <target> [options]"],
    ["token", "token: <ghost> is missing: gravitas token <ghost> [options]"],
    ["trail fork", "trail fork: --reason is missing: gravitas trail fork --reason <text> [options]"],
    ["gatekeeper --json", "gravitas: --json is not one of its options. To list them: gravitas --help"]
  ])("is refused with what is wrong and what to type: %j", (line, problem) => {
    expect(wrongUsage(tree, line.split(" "))).toBe(problem)
  })
})

describe("The command that words name", () => {
  it.each(commands.filter(({ command }) => command.path.length === 2))(
    "accepts the options of its group, in $name",
    ({ command: group }) => {
      const names = group.options.map(({ name }) => name)
      for (const { options, path } of group.commands)
        expect(
          options.map(({ name }) => name),
          path.join(" ")
        ).toEqual(expect.arrayContaining(names))
    }
  )

  it.each([
    ["migrate --service router upgrade 0002 --dry-run", "gravitas migrate upgrade", ["0002"]],
    ["migrate --database-url status --yes verify", "gravitas migrate verify", []],
    ["migrate --log-level debug status", "gravitas migrate status", []],
    ["migrate downgrade --service router", "gravitas migrate downgrade", []],
    ["guardian router", "gravitas", ["guardian", "router"]]
  ])("is found among options and their values in %j", (words, name, rest) => {
    const found = commandAt(tree, words.split(" "))
    expect([found.command.path.join(" "), found.rest]).toEqual([name, rest])
  })
})

describe("The help", () => {
  it("knows the commands of every group", () => {
    const names = commands.map(({ name }) => name)
    expect(names).toEqual(
      expect.arrayContaining(["gravitas migrate downgrade", "gravitas trail request", "gravitas token"])
    )
    expect(names.length).toBeGreaterThan(35)
  })

  it.each(commands)(
    "of $name says what everything means, in lines of 80 columns and without words of the library",
    ({ command, name }) => {
      expect(summaryOf(command)).toMatch(/^[A-Z].{10,}$/)
      for (const { meaning, name } of [...command.arguments, ...command.options])
        expect(meaning, name).toMatch(/^[\w`"].{3,}[\w.}"]$/)
      const page = renderHelp(command, false, 80)
      expect(page.startsWith(`USAGE\n  ${name}`)).toBe(true)
      expect(page).not.toMatch(
        /user-defined|true or false value|This setting|This (option|argument)|Defaults to|wizard|log-level|<redacted>/
      )
      expect(page).toBe(stripVTControlCharacters(page))
      const [text = "", examples = ""] = page.split("\n\nEXAMPLES\n")
      expect(text.split("\n").filter((line) => line.length > 80)).toEqual([])
      for (const line of examples.split("\n\n")[0]?.split("\n") ?? []) expect(line).toMatch(/^ {2}(gravitas|curl)\b/)
    }
  )

  it("of a command shows how it is typed: what may be left out is in brackets", () => {
    const usage = (words: string) => usageOf(commandAt(tree, words.split(" ")).command)
    expect(usage("migrate upgrade")).toBe("gravitas migrate upgrade [<target>] [options]")
    expect(usage("migrate show")).toBe("gravitas migrate show <revision> [options]")
    expect(usage("trail")).toBe("gravitas trail [<command>] [options]")
    expect(usage("trail fork")).toMatch(/^gravitas trail fork (--reason <text> )?\[options\]$/)
  })
})
