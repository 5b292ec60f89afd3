import * as HelpDoc from "@effect/cli/HelpDoc"

/** A command's help: what it does, then lines that can be typed. */
export const helpOf = (what: string, examples: ReadonlyArray<string>): HelpDoc.HelpDoc =>
  HelpDoc.blocks([HelpDoc.p(what), HelpDoc.p("Examples:"), ...examples.map((example) => HelpDoc.p(`  ${example}`))])
