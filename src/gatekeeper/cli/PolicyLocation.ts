import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { FileProblem, problemLines } from "../../domain/Text.ts"
import { ExitCode } from "../../platform/cli/ExitCode.ts"
import { accessPolicyPath } from "../GatekeeperSettings.ts"
import { loadPolicy } from "../policy/PolicyFile.ts"

/** The error of a command whose policy file is refused, with its exit code. The gatekeeper's own error is PolicyRefused. */
export class PolicyFileRefused extends Schema.TaggedError<PolicyFileRefused>()("PolicyFileRefused", {
  file: Schema.String,
  problems: Schema.Array(FileProblem)
}) {
  readonly exitCode = ExitCode.policyRefused
  override get message(): string {
    return `the policy is refused:\n${problemLines(this.file, this.problems)}`
  }
}

/** Loads the policy of the given file, by default of the file that `ACCESS_POLICY_PATH` names. */
export const policyAt = (given: Option.Option<string>) =>
  Effect.gen(function* () {
    const file = Option.isSome(given) ? given.value : yield* Effect.orDie(accessPolicyPath)
    const policy = yield* Effect.mapError(loadPolicy(file), ({ problems }) => new PolicyFileRefused({ file, problems }))
    return { file, policy }
  })
