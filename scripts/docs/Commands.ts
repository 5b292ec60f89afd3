import { table } from "./Markdown.ts"
import { type CommandNode, programTree, shownTerm, type Term } from "./Sources.ts"

const termTable = (terms: ReadonlyArray<Term>): ReadonlyArray<string> =>
  terms.length === 0
    ? []
    : [
        "",
        ...table(
          ["", "meaning"],
          terms.map((term) => [`\`${shownTerm(term)}\``, term.meaning])
        )
      ]

const exampleLines = (examples: ReadonlyArray<string>): ReadonlyArray<string> =>
  examples.length === 0 ? [] : ["", "```text", ...examples, "```"]

/** `inherited`: options that the command's group has too; they are listed there. */
const lines = (command: CommandNode, inherited: ReadonlySet<string>): ReadonlyArray<string> => {
  const { arguments: given, commands, description, examples, options, path } = command
  const own = options.filter(({ name }) => !inherited.has(name))
  const below = new Set([...inherited, ...own.map(({ name }) => name)])
  return [
    "",
    `${"#".repeat(Math.min(path.length + 1, 4))} \`${path.join(" ")}\``,
    "",
    description,
    ...termTable([...given, ...own]),
    ...exampleLines(examples),
    ...commands.flatMap((one) => lines(one, below))
  ]
}

/** docs/commands.md. */
export const commandsPage = (): string =>
  [
    "# Commands",
    "",
    "This page is generated from the program's own help by `pnpm write:docs`. `--help` after any command prints the same.",
    "`pnpm -s gravitas <command>` runs a command of the build; a command beside a running server uses that server's PostgreSQL.",
    "",
    'The shell completes commands and options after `eval "$(pnpm -s gravitas --completions bash)"` (`zsh`: the same), or',
    "`pnpm -s gravitas --completions fish | source`. That also makes `gravitas` a command of the shell unless there is one, so that it works in",
    "any directory. The line for the shell's profile is at the head of what `--completions` prints.",
    "",
    "Options of a group are listed once, at the group. They may stand before the command's name or after it.",
    "[Exit codes](errors.md#exit-codes) are on the page of errors.",
    ...lines(programTree, new Set()),
    ""
  ].join("\n")
