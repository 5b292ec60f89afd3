import * as Command from "@effect/cli/Command"
import * as HelpDoc from "@effect/cli/HelpDoc"

/** How a command line of this program begins, for messages that name the next command. */
export const program = "pnpm gravitas"

/** The line between what a command does and lines that can be typed. */
export const examplesTitle = "Examples:"

/** A command's help: what it does, then lines that can be typed. CommandTree.ts reads it again. */
export const helpOf = (what: string, examples: ReadonlyArray<string>): HelpDoc.HelpDoc =>
  HelpDoc.blocks([HelpDoc.p(what), HelpDoc.p(examplesTitle), ...examples.map((example) => HelpDoc.p(`  ${example}`))])

/** Gives a command its help: what it does, then lines that can be typed. */
export const withHelp = (what: string, examples: ReadonlyArray<string>) =>
  Command.withDescription(helpOf(what, examples))
