import * as Options from "@effect/cli/Options"

/** Options without a value. Every flag of the program is listed here, so that `unambiguous` knows it. */
const names = [
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
