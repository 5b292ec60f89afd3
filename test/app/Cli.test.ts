import * as Command from "@effect/cli/Command"
import { describe, expect, it } from "@effect/vitest"
import { unknownCommand } from "../../src/app/Cli.ts"

const group = Command.make("migrate").pipe(Command.withSubcommands([Command.make("status"), Command.make("upgrade")]))
const groups = new Map([["migrate", group]])

describe("The word behind a group of commands", () => {
  it.each([
    [["migrate", "status"]],
    [["migrate", "--service", "router", "status"]],
    [["migrate", "--sql", "--service", "router"]],
    [["migrate"]],
    [["gatekeeper", "statu"]],
    [[]]
  ])("is left to the command line in %j", (words) => {
    expect(unknownCommand(groups, words)).toBeUndefined()
  })

  it("is refused where it is not a command of the group, with the one that was meant", () => {
    expect(unknownCommand(groups, ["migrate", "statu"])).toBe(
      'gravitas migrate: "statu" is not one of its commands (status, upgrade); did you mean status?'
    )
    expect(unknownCommand(groups, ["migrate", "fly"])).toBe(
      'gravitas migrate: "fly" is not one of its commands (status, upgrade)'
    )
  })
})
