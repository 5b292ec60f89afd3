import { table } from "./Markdown.ts"
import { exitCodes } from "./Sources.ts"

const commandsOf = (command: string): string =>
  command === "every command"
    ? command
    : command
        .split(", ")
        .map((one) => `\`${one}\``)
        .join(", ")

/** Every exit code, with the command that ends with it. */
export const exitCodeTable = (): ReadonlyArray<string> =>
  table(
    ["code", "command", "meaning"],
    Object.values(exitCodes)
      .toSorted((one, other) => one.code - other.code)
      .map(({ code, command, meaning }) => [String(code), commandsOf(command), meaning])
  )
