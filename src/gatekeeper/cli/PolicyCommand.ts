import * as Args from "@effect/cli/Args"
import * as Command from "@effect/cli/Command"
import * as Options from "@effect/cli/Options"
import * as Effect from "effect/Effect"
import { outputOptions } from "../../platform/cli/Flags.ts"
import { helpOf } from "../../platform/cli/Help.ts"

/** Loaded when they run: other commands of the same program do not need these modules. */
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
      "Reads a policy file as the gatekeeper does, and reports every problem with its line and column. Exits with 0 when it is valid, " +
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
      "Decides each case by a policy file, and compares. Exits with 0 when each decision is as expected, 5 when one is not, " +
        "3 when the policy file is refused, 4 when the file of cases is.",
      ["policy test cases.yaml", "policy test cases.yaml --policy next-policy.yaml --json"]
    )
  )
)

/** `policy` and its commands. They read files, and need neither a database nor most settings. */
export const policyCommand = Command.make("policy").pipe(
  Command.withDescription(
    helpOf("Checks a policy file before the gatekeeper reads it.", ["policy check", "policy test cases.yaml"])
  ),
  Command.withSubcommands([check, test])
)
