import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import { table } from "./Markdown.ts"
import { printHelp } from "./Sources.ts"

/** Returns what a command's help prints, without colours. */
const helpText = (words: ReadonlyArray<string>): Effect.Effect<string, unknown> =>
  Effect.gen(function* () {
    const lines: Array<string> = []
    const standard = yield* Console.consoleWith(Effect.succeed)
    const collect = (...values: ReadonlyArray<unknown>) =>
      Effect.sync(() => {
        lines.push(values.map(String).join(" "))
      })
    yield* printHelp(words, { ...standard, log: collect, error: collect, info: collect })
    // biome-ignore lint/suspicious/noControlCharactersInRegex: escape sequences of a terminal begin with ESC.
    return lines.join("\n").replaceAll(/\u001b\[[0-9;]*m/g, "")
  })

interface Section {
  readonly title: string
  readonly lines: ReadonlyArray<string>
}

/** A title is a line of capitals. */
const sectionsOf = (help: string): ReadonlyArray<Section> => {
  const sections: Array<{ title: string; lines: Array<string> }> = []
  for (const line of help.split("\n")) {
    if (/^[A-Z]+$/.test(line)) sections.push({ title: line, lines: [] })
    else sections.at(-1)?.lines.push(line)
  }
  return sections
}

interface Term {
  readonly name: string
  readonly meaning: string
}

/** What @effect/cli prints for every option, whatever it is for. */
const boilerplate =
  /^(A user-defined piece of text\.|A true or false value\.|An integer\.|One of the following: .*|This setting is optional\.|This (option|argument) may be repeated .*)$/

/** A term is not indented; what follows it is. */
const termsOf = (lines: ReadonlyArray<string>): ReadonlyArray<Term> => {
  const terms: Array<{ name: string; meanings: Array<string> }> = []
  for (const line of lines.map((one) => one.trimEnd())) {
    if (line === "") continue
    if (!line.startsWith(" ")) terms.push({ name: line, meanings: [] })
    else if (!boilerplate.test(line.trim())) terms.at(-1)?.meanings.push(line.trim())
  }
  return terms.map(({ meanings, name }) => ({ name, meaning: meanings.join(" ") }))
}

/** Options that @effect/cli adds to every command. */
const builtIn = /^(--completions|--log-level|\(-h, --help\)|--wizard|--version)/

const paragraphsOf = (lines: ReadonlyArray<string>): ReadonlyArray<string> =>
  lines
    .join("\n")
    .split(/\n{2,}/)
    .map((one) => one.trim())
    .filter((one) => one !== "")

interface Help {
  readonly usage: string
  readonly description: string
  readonly examples: ReadonlyArray<string>
  readonly terms: ReadonlyArray<Term>
  /** Names of the commands below this one. */
  readonly commands: ReadonlyArray<string>
}

const parse = (help: string): Help => {
  const sections = sectionsOf(help)
  const linesOf = (title: string) => sections.find((one) => one.title === title)?.lines ?? []
  const paragraphs = paragraphsOf(linesOf("DESCRIPTION"))
  const at = paragraphs.indexOf("Examples:")
  const description = at === -1 ? paragraphs : paragraphs.slice(0, at)
  return {
    usage: linesOf("USAGE").join(" ").trim().replace(/^\$ /, ""),
    description: description.join(" "),
    examples: at === -1 ? [] : paragraphs.slice(at + 1),
    terms: [...termsOf(linesOf("ARGUMENTS")), ...termsOf(linesOf("OPTIONS"))].filter(({ name }) => !builtIn.test(name)),
    commands: linesOf("COMMANDS").flatMap((line) => /^\s*- (\S+)/.exec(line)?.[1] ?? [])
  }
}

interface Command {
  readonly words: ReadonlyArray<string>
  readonly help: Help
  readonly subcommands: ReadonlyArray<Command>
}

const commandAt = (words: ReadonlyArray<string>): Effect.Effect<Command, unknown> =>
  Effect.gen(function* () {
    const help = parse(yield* helpText(words))
    const subcommands = yield* Effect.forEach(help.commands, (name) => commandAt([...words, name]))
    return { words, help, subcommands }
  })

const termTable = (terms: ReadonlyArray<Term>): ReadonlyArray<string> =>
  terms.length === 0
    ? []
    : [
        "",
        ...table(
          ["", "meaning"],
          terms.map(({ meaning, name }) => [`\`${name}\``, meaning])
        )
      ]

const exampleLines = (examples: ReadonlyArray<string>): ReadonlyArray<string> =>
  examples.length === 0
    ? []
    : ["", "```text", ...examples.map((one) => one.replace(/^(?!gravitas)/, "gravitas ")), "```"]

/** `inherited`: options that the command's group has too; they are listed there. */
const lines = (command: Command, inherited: ReadonlySet<string>): ReadonlyArray<string> => {
  const { help, subcommands, words } = command
  const own = help.terms.filter(({ name }) => !inherited.has(name))
  const below = new Set([...inherited, ...own.map(({ name }) => name)])
  const path = ["gravitas", ...words].join(" ")
  return [
    "",
    `${"#".repeat(Math.min(words.length + 2, 4))} \`${path}\``,
    "",
    help.description,
    ...termTable(own),
    ...exampleLines(help.examples),
    ...subcommands.flatMap((one) => lines(one, subcommands.length > 0 ? below : inherited))
  ]
}

/** docs/commands.md. */
export const commandsPage: Effect.Effect<string, unknown> = Effect.map(commandAt([]), (root) =>
  [
    "# Commands",
    "",
    "This page is generated from the program's own help by `pnpm write:docs`. `--help` after any command prints the same.",
    "`pnpm -s gravitas <command>` runs a command of the build; a command beside a running server uses that server's PostgreSQL.",
    "",
    "Options of a group are listed once, at the group. They may stand before the command's name or after it.",
    "[Exit codes](errors.md#exit-codes) are on the page of errors.",
    ...lines(root, new Set()),
    ""
  ].join("\n")
)
