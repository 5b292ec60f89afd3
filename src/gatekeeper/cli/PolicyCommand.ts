import * as Args from "@effect/cli/Args"
import * as Command from "@effect/cli/Command"
import * as Options from "@effect/cli/Options"
import * as Effect from "effect/Effect"
import { helpOf } from "../../platform/cli/Help.ts"
import { outputOptions } from "../../platform/cli/OutputOptions.ts"

/** Loaded where they are run: other commands, which share the command line, need none of it. */
const checking = Effect.promise(() => import("./PolicyCheck.ts"))
const testing = Effect.promise(() => import("./PolicyTest.ts"))

const file = Args.text({ name: "file" }).pipe(
  Args.withDescription("The policy file. Default: ACCESS_POLICY_PATH."),
  Args.optional
)

const cases = Args.text({ name: "cases" }).pipe(
  Args.withDescription("YAML: a list of { ghost, action, resource, expect: allow | deny, rule?: group#number }.")
)

const policy = Options.text("policy").pipe(
  Options.withDescription("The policy file. Default: ACCESS_POLICY_PATH."),
  Options.optional
)

const check = Command.make("check", { file, ...outputOptions }, ({ file, ...given }) =>
  Effect.flatMap(checking, ({ checkPolicy }) => checkPolicy(file, given))
).pipe(
  Command.withDescription(
    helpOf(
      "Reads a policy file as the gatekeeper would, and tells every problem with its line and column. Exits with 0 when it is good, " +
        "3 when it is refused.",
      ["policy check", "policy check config/access-policy.yaml --json"]
    )
  )
)

const test = Command.make("test", { cases, policy, ...outputOptions }, ({ cases, policy, ...given }) =>
  Effect.flatMap(testing, ({ testPolicy }) => testPolicy(cases, policy, given))
).pipe(
  Command.withDescription(
    helpOf(
      "Asks a policy file what the cases ask, and compares. Exits with 0 when it decides all as they expect, 5 when it does not, " +
        "3 when the policy file is refused, 4 when the file of cases is.",
      ["policy test cases.yaml", "policy test cases.yaml --policy next-policy.yaml --json"]
    )
  )
)

/** `policy` and its commands: they read files, and need neither a database nor most settings. */
export const policyCommand = Command.make("policy").pipe(
  Command.withDescription(
    helpOf("Checks the file that says who may do what, before the gatekeeper does.", [
      "policy check",
      "policy test cases.yaml"
    ])
  ),
  Command.withSubcommands([check, test])
)
