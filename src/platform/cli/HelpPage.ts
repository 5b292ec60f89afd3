import type { CommandNode, Term } from "./CommandTree.ts"
import { terminalWidth } from "./TerminalText.ts"

/** The first sentence of a command's description. */
export const summaryOf = ({ description }: CommandNode): string =>
  /^.*?[.:;](?= |$)/.exec(description)?.[0].slice(0, -1) ?? description

/** An option or argument as it is typed: `--service gatekeeper|guardian|router`, `<file>...`. */
export const shownTerm = ({ aliases, isRepeated, name, value }: Term): string =>
  [...aliases, name].join(", ") + (value === undefined ? "" : ` ${value}`) + (isRepeated ? "..." : "")

const optional = (term: Term, shown: string): string => (term.isOptional ? `[${shown}]` : shown)

/** How the command is typed. */
export const usageOf = ({ arguments: given, commands, options, path }: CommandNode): string =>
  [
    ...path,
    ...(commands.length > 0 ? ["[<command>]"] : []),
    ...given.map((term) => optional(term, shownTerm(term))),
    ...options.filter(({ isOptional }) => !isOptional).map(shownTerm),
    ...(options.some(({ isOptional }) => isOptional) || commands.length > 0 ? ["[options]"] : [])
  ].join(" ")

const indent = "  "

/** Lines of at most `width` columns, as far as blanks allow; all but the first begin with `hanging` blanks. */
const wrapped = (text: string, width: number, hanging: number): string => {
  const lines: Array<string> = []
  let line = ""
  for (const word of text.split(" ")) {
    if (line !== "" && hanging + line.length + 1 + word.length > width) {
      lines.push(line)
      line = word
    } else line = line === "" ? word : `${line} ${word}`
  }
  return [...lines, line].join(`\n${" ".repeat(hanging)}`)
}

/** Beyond this many columns the meaning of a term begins on a line of its own. */
const widestName = 26

const listed = (
  terms: ReadonlyArray<readonly [name: string, meaning: string]>,
  width: number
): ReadonlyArray<string> => {
  const longest = Math.max(...terms.map(([name]) => (name.length > widestName ? 0 : name.length)), 8)
  const hanging = indent.length + longest + 2
  return terms.map(([name, meaning]) => {
    const head =
      name.length > longest ? `${indent}${name}\n${" ".repeat(hanging)}` : `${indent}${name.padEnd(longest)}  `
    return (head + wrapped(meaning, width, hanging)).trimEnd()
  })
}

/** No line of a help is longer than this, however wide the terminal is. */
const widestPage = 100

/** What every command accepts. */
const common: ReadonlyArray<readonly [string, string]> = [["-h, --help", "Print this help."]]

const ofTheProgram: ReadonlyArray<readonly [string, string]> = [
  ["--version", "Print the version."],
  ["--completions bash|zsh|fish", "Print a script that completes commands and options in that shell."]
]

/** The help of a command, in lines of at most `width` columns. Titles are bold with `colours`. */
export const renderHelp = (command: CommandNode, colours: boolean, width = terminalWidth()): string => {
  const columns = Math.min(width, widestPage)
  const title = (text: string): string => (colours ? `\u001b[1m${text}\u001b[0m` : text)
  const section = (name: string, lines: ReadonlyArray<string>) =>
    lines.length === 0 ? [] : [[title(name), ...lines].join("\n")]
  const termsOf = (terms: ReadonlyArray<Term>) => terms.map((term) => [shownTerm(term), term.meaning] as const)
  const { arguments: given, commands, description, examples, options, path } = command
  const isProgram = path.length === 1
  const name = path.join(" ")
  const usages = isProgram ? [`${name} [<service>...]`, `${name} <command> [options]`] : [usageOf(command)]
  return [
    ...section(
      "USAGE",
      usages.map((usage) => indent + wrapped(usage, columns, indent.length + 2))
    ),
    indent + wrapped(description, columns, indent.length),
    ...section("ARGUMENTS", listed(termsOf(given), columns)),
    ...section("OPTIONS", listed([...termsOf(options), ...common, ...(isProgram ? ofTheProgram : [])], columns)),
    ...section(
      "COMMANDS",
      commands.length === 0
        ? []
        : listed(
            commands.map((one) => [`- ${one.path.at(-1)}`, summaryOf(one)]),
            columns
          )
    ),
    ...section(
      "EXAMPLES",
      examples.map((line) => indent + line)
    ),
    ...(commands.length === 0 ? [] : [`\`${name} <command> --help\` says more about each command.`])
  ].join("\n\n")
}
