import * as CliConfig from "@effect/cli/CliConfig"
import * as Command from "@effect/cli/Command"
import * as CommandDescriptor from "@effect/cli/CommandDescriptor"
import * as HelpDoc from "@effect/cli/HelpDoc"
import * as Span from "@effect/cli/HelpDoc/Span"

/** How a command line of this program begins, for messages that name the next command. */
export const program = "pnpm gravitas"

/** A command's help: what it does, then lines that can be typed. */
export const helpOf = (what: string, examples: ReadonlyArray<string>): HelpDoc.HelpDoc =>
  HelpDoc.blocks([HelpDoc.p(what), HelpDoc.p("Examples:"), ...examples.map((example) => HelpDoc.p(`  ${example}`))])

/** Gives a command its help: what it does, then lines that can be typed. */
export const withHelp = (what: string, examples: ReadonlyArray<string>) =>
  Command.withDescription(helpOf(what, examples))

/** Without the options that the library adds to every command; the help of a single command shows them. */
const config = CliConfig.make({ showBuiltIns: false })

const blocksOf = (doc: HelpDoc.HelpDoc): ReadonlyArray<HelpDoc.HelpDoc> =>
  HelpDoc.isSequence(doc) ? [...blocksOf(doc.left), ...blocksOf(doc.right)] : HelpDoc.isEmpty(doc) ? [] : [doc]

const textOf = (doc: HelpDoc.HelpDoc): string => HelpDoc.toAnsiText(doc).trim()

const isHeader = (doc: HelpDoc.HelpDoc | undefined, title: string): boolean =>
  doc !== undefined && HelpDoc.isHeader(doc) && textOf(doc).includes(title)

/** Sentences that the library adds to every option. */
const commonplaces =
  /^(A user-defined piece of text.*|A true or false value\.|This setting is optional\.|This (option|argument) may be repeated .*)$/

const withoutCommonplaces = (doc: HelpDoc.HelpDoc): HelpDoc.HelpDoc =>
  HelpDoc.isDescriptionList(doc)
    ? HelpDoc.mapDescriptionList(doc, (name, description) => [
        name,
        HelpDoc.blocks(blocksOf(description).filter((block) => !commonplaces.test(textOf(block))))
      ])
    : doc

/** The first sentence of a command's description. */
const summaryOf = (command: CommandDescriptor.Command<unknown>): string => {
  const blocks = blocksOf(CommandDescriptor.getHelp(command, config))
  const description = blocks[blocks.findIndex((block) => isHeader(block, "DESCRIPTION")) + 1]
  const text = description === undefined ? "" : textOf(description).replaceAll(/\s+/g, " ")
  return /^.*?[.:;](?= |$)/.exec(text)?.[0].slice(0, -1) ?? text
}

const listOf = (commands: ReadonlyArray<readonly [name: string, summary: string]>): HelpDoc.HelpDoc => {
  const width = Math.max(...commands.map(([name]) => name.length))
  const [first, ...more] = commands.map(([name, summary]) =>
    HelpDoc.p(Span.spans([Span.strong(name), Span.text(" ".repeat(width - name.length + 2)), Span.text(summary)]))
  )
  return first === undefined ? HelpDoc.empty : HelpDoc.enumeration([first, ...more])
}

/** A command with commands of its own. */
export interface CommandGroup {
  readonly descriptor: CommandDescriptor.Command<unknown>
}

/** The names of a group's commands. */
export const commandsOf = ({ descriptor }: CommandGroup): ReadonlyArray<string> =>
  [...CommandDescriptor.getSubcommands(descriptor)].map(([name]) => name).sort()

/**
 * The help of a group: what it does, and a line for each of its commands. The library's own help repeats, for each command, the
 * options of all commands above it, in lines of hundreds of characters.
 */
export const groupHelp = (
  { descriptor }: CommandGroup,
  path: string,
  usage = `${path} <command> [options]`
): string => {
  const commands = [...CommandDescriptor.getSubcommands(descriptor)]
    .map(([name, command]) => [name, summaryOf(command)] as const)
    .sort(([one], [other]) => (one < other ? -1 : 1))
  const blocks = blocksOf(CommandDescriptor.getHelp(descriptor, config))
  const listed = blocks.findIndex((block) => isHeader(block, "COMMANDS")) + 1
  return HelpDoc.toAnsiText(
    HelpDoc.blocks([
      HelpDoc.h1("USAGE"),
      HelpDoc.p(`$ ${usage}`),
      ...blocks.map((block, index) => (index === listed ? listOf(commands) : withoutCommonplaces(block))),
      HelpDoc.p(`\`${path} <command> --help\` says more about each.`)
    ])
  )
}
