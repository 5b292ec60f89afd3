import { commonExitCode } from "../../platform/cli/ExitCode.ts"

/** What `policy` and its commands end the process with. */
export const ExitCode = {
  ...commonExitCode,
  /** The policy file is refused. */
  policyRefused: 3,
  /** `policy test`: the file of cases is refused. */
  casesRefused: 4,
  /** `policy test`: the policy decides otherwise than a case expects. */
  casesFailed: 5
} as const
