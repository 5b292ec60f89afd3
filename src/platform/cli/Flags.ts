import * as Options from "@effect/cli/Options"

/** Options that are there or not. All that a command has stand here, or `unambiguous` would not know them. */
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
 * The command line as its parser understands it. Each flag is written as `--dry-run=true`: without a value of its own the
 * parser would take a 1 that comes after it, also past other options, for the flag's value, and the target that it is would be
 * head. A target such as `-1` goes to the end, since flags after it would not be looked for.
 */
export const unambiguous = (args: ReadonlyArray<string>): ReadonlyArray<string> => {
  const isBack = (arg: string, index: number) => /^-\d+$/.test(arg) && !takesValue(args[index - 1] ?? "")
  return [...args.filter((arg, index) => !isBack(arg, index)), ...args.filter(isBack)].map((arg) =>
    isFlag(arg) ? `${arg}=true` : arg
  )
}
