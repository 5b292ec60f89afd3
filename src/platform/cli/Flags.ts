import * as HelpDoc from "@effect/cli/HelpDoc"
import * as Options from "@effect/cli/Options"
import * as ValidationError from "@effect/cli/ValidationError"
import * as Effect from "effect/Effect"

/** Options without a value. Every flag of the program is listed here, so that `unambiguous` knows it. */
const names = [
  "accept-differences",
  "all",
  "allow-data-loss",
  "assume-utc",
  "check-head",
  "db",
  "dry-run",
  "events",
  "gaps",
  "json",
  "mark-applied",
  "mark-reverted",
  "no-color",
  "repair",
  "resign",
  "retry",
  "sql",
  "ts",
  "verbose",
  "yes"
] as const

export const flag = (name: (typeof names)[number]) => Options.boolean(name)

const flags = new Set<string>(names.map((name) => `--${name}`))

const isFlag = (arg: string): boolean => flags.has(arg)
const takesValue = (arg: string): boolean => arg.startsWith("--") && !arg.includes("=") && !isFlag(arg)

/**
 * Rewrites the command line for @effect/cli. It reads `--dry-run 1` as the flag's value, so each flag becomes
 * `--dry-run=true`. A target such as `-1` goes to the end, since the parser ignores flags after it.
 */
export const unambiguous = (args: ReadonlyArray<string>): ReadonlyArray<string> => {
  const isBack = (arg: string, index: number) => /^-\d+$/.test(arg) && !takesValue(args[index - 1] ?? "")
  return [...args.filter((arg, index) => !isBack(arg, index)), ...args.filter(isBack)].map((arg) =>
    isFlag(arg) ? `${arg}=true` : arg
  )
}

/** A word of the command line as a message repeats it. A URL is not repeated, since it may hold a password. */
export const quotedWord = (word: string): string => (word.includes("://") ? "a URL" : JSON.stringify(word))

/** The options of every command: how its result is shown. */
export const outputOptions = {
  json: flag("json").pipe(
    Options.withDescription("Print one JSON object on stdout, errors too: { command, exitCode, result, error }.")
  ),
  noColor: flag("no-color").pipe(
    Options.withDescription("No colours on a terminal; NO_COLOR=1 in the environment says the same.")
  )
}

/** Refuses the value of an option. */
export const invalidOption = (problem: string) => ValidationError.invalidValue(HelpDoc.p(problem))

const maximumLimit = 1_000

/** `--limit`: how many `what` are shown. `standard` is the default. */
export const limitOption = (standard: number, what: string) =>
  Options.integer("limit").pipe(
    Options.withDescription(`How many ${what} to show, up to ${maximumLimit}. Default: ${standard}.`),
    Options.withDefault(standard),
    Options.mapEffect((limit) =>
      limit >= 1 && limit <= maximumLimit
        ? Effect.succeed(limit)
        : Effect.fail(invalidOption(`--limit ${limit} is not a number from 1 to ${maximumLimit}`))
    )
  )
