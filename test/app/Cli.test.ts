import { stripVTControlCharacters } from "node:util"
import { describe, expect, it } from "@effect/vitest"
import { unknownCommand, wrongUsage } from "../../src/app/Cli.ts"
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

describe("A command line", () => {
  it.each([
    "migrate --service router upgrade 0002 --dry-run --lock-wait=5s",
    "migrate --dry-run status --JSON",
    "migrate downgrade -1 --service guardian",
    "migrate redo 2 --allow-data-loss",
    "ghost stop Scout --reason --odd",
    "journal inspect x --events",
    "guardian router --log-level debug",
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
  it.each([
    ["migrate --service router upgrade 0002 --dry-run", "gravitas migrate upgrade", ["0002"]],
    ["migrate --database-url status --yes verify", "gravitas migrate verify", []],
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
