import { stripVTControlCharacters } from "node:util"
import * as CliConfig from "@effect/cli/CliConfig"
import * as CommandDescriptor from "@effect/cli/CommandDescriptor"
import * as HelpDoc from "@effect/cli/HelpDoc"
import { examplesTitle } from "./Help.ts"

/** An option or an argument of a command. */
export interface Term {
  /** `--service`, or `<target>` of an argument. */
  readonly name: string
  /** Other names of an option, such as `-h`. */
  readonly aliases: ReadonlyArray<string>
  /** What follows an option: its choices, or a placeholder such as `<text>`. Undefined for a flag and an argument. */
  readonly value: string | undefined
  /** The values that are accepted; empty where any is. */
  readonly choices: ReadonlyArray<string>
  readonly isOptional: boolean
  readonly isRepeated: boolean
  readonly meaning: string
}

/** A command as its help, its page in `docs/` and the completions of shells show it. */
export interface CommandNode {
  /** The words that call it: `gravitas`, `migrate`, `status`. */
  readonly path: ReadonlyArray<string>
  readonly description: string
  /** Lines that can be typed. */
  readonly examples: ReadonlyArray<string>
  readonly arguments: ReadonlyArray<Term>
  readonly options: ReadonlyArray<Term>
  /** By name. */
  readonly commands: ReadonlyArray<CommandNode>
}

/** A command of the library, with or without commands of its own. */
export interface DescribedCommand {
  readonly descriptor: CommandDescriptor.Command<unknown>
}

/** Without the options that the library adds to every command. */
const config = CliConfig.make({ showBuiltIns: false })

const blocksOf = (doc: HelpDoc.HelpDoc): ReadonlyArray<HelpDoc.HelpDoc> =>
  HelpDoc.isSequence(doc) ? [...blocksOf(doc.left), ...blocksOf(doc.right)] : HelpDoc.isEmpty(doc) ? [] : [doc]

const lineOf = (doc: HelpDoc.HelpDoc): string => stripVTControlCharacters(HelpDoc.toAnsiText(doc)).trim()

const textOf = (doc: HelpDoc.HelpDoc): string => lineOf(doc).replaceAll(/\s+/g, " ")

/** What the library says of every option and argument of a kind, whatever it is for. */
const commonplaces =
  /^(A user-defined piece of text( that is confidential)?\.|A true or false value\.|An integer\.|One of the following: .*|This setting is optional\..*|This (option|argument) (may|must) be repeated .*)$/

/** A name as the library shows it: `<file>`, `--service gatekeeper | guardian...`, `(-h, --help)`. */
const shape = /^\(?(?<names>(?:-[\w-]+, )*(?:--[\w-]+|<[\w-]+>))(?: (?<value>[^)]*?))?\)?(?<repeated>\.\.\.)?$/

const termOf = (shown: string, blocks: ReadonlyArray<string>): Term => {
  const { names = shown, repeated, value } = shape.exec(shown)?.groups ?? {}
  const [name = shown, ...aliases] = names.split(", ").toReversed()
  const choices = value?.includes(" | ") === true ? value.split(" | ") : []
  return {
    name,
    aliases,
    value: value === undefined || choices.length > 0 ? value?.replaceAll(" ", "") : `<${value}>`,
    choices,
    isOptional: blocks.some((block) => /^This setting is optional|may be repeated zero/.test(block)),
    isRepeated: repeated !== undefined,
    meaning: blocks.filter((block) => !commonplaces.test(block)).join(" ")
  }
}

const termsOf = (blocks: ReadonlyArray<HelpDoc.HelpDoc>): ReadonlyArray<Term> =>
  blocks.flatMap((block) =>
    HelpDoc.isDescriptionList(block)
      ? block.definitions.map(([name, meaning]) => termOf(textOf(HelpDoc.p(name)), blocksOf(meaning).map(textOf)))
      : []
  )

/**
 * The command of a path, and the commands below it. `groups` are those that have commands themselves, by name: the library does not
 * reach below one level.
 */
export const commandTree = (
  path: ReadonlyArray<string>,
  { descriptor }: DescribedCommand,
  groups: ReadonlyMap<string, DescribedCommand>
): CommandNode => {
  const sections = new Map<string, Array<HelpDoc.HelpDoc>>()
  let section: Array<HelpDoc.HelpDoc> = []
  for (const block of blocksOf(CommandDescriptor.getHelp(descriptor, config))) {
    if (HelpDoc.isHeader(block)) {
      section = []
      sections.set(textOf(block), section)
    } else section.push(block)
  }
  const lines = (sections.get("DESCRIPTION") ?? []).map(lineOf)
  const end = lines.includes(examplesTitle) ? lines.indexOf(examplesTitle) : lines.length
  return {
    path,
    description: lines.slice(0, end).join(" ").replaceAll(/\s+/g, " "),
    examples: lines.slice(end + 1).map((line) => line.replace(/^(?!gravitas\b|curl\b)/, "gravitas ")),
    arguments: termsOf(sections.get("ARGUMENTS") ?? []),
    options: termsOf(sections.get("OPTIONS") ?? []),
    // Of a command without commands the library returns the command itself.
    commands: [...CommandDescriptor.getSubcommands(descriptor)]
      .filter(([name]) => name !== path.at(-1))
      .sort(([one], [other]) => (one < other ? -1 : 1))
      .map(([name, command]) => commandTree([...path, name], groups.get(name) ?? { descriptor: command }, new Map()))
  }
}

/** The options of the library, which every command accepts. */
export const builtIns: ReadonlyArray<string> = ["--help", "-h", "--version", "--completions", "--wizard", "--log-level"]

const builtInsWithValue: ReadonlyArray<string> = ["--completions", "--log-level"]

/** What words say of a command. */
export interface Named {
  readonly command: CommandNode
  /** The words that are neither options nor their values: its arguments. */
  readonly rest: ReadonlyArray<string>
  /** The names of options, without values, in lower case as the library compares them. */
  readonly options: ReadonlyArray<string>
  /** Those of them that precede `rest`. */
  readonly leading: ReadonlyArray<string>
}

const isNegative = (word: string): boolean => /^-\d+$/.test(word)

/** The command that words name. A target such as `-1` is an argument. */
export const commandAt = (root: CommandNode, words: ReadonlyArray<string>): Named => {
  let command = root
  const rest: Array<string> = []
  const options: Array<string> = []
  const leading: Array<string> = []
  for (let index = 0; index < words.length; index++) {
    const word = words[index] ?? ""
    const next = rest.length === 0 ? command.commands.find(({ path }) => path.at(-1) === word) : undefined
    const option = word.toLowerCase()
    if (next !== undefined) command = next
    else if (!word.startsWith("-") || isNegative(word)) rest.push(word)
    else {
      const name = option.replace(/=.*/s, "")
      options.push(name)
      if (rest.length === 0) leading.push(name)
      const takesNext = command.options.some(
        ({ aliases, name, value }) => value !== undefined && [name, ...aliases].includes(option)
      )
      if (takesNext || builtInsWithValue.includes(option)) index++
    }
  }
  return { command, rest, options, leading }
}
