import * as Schema from "effect/Schema"
import { ExitCode } from "./ExitCode.ts"

/** A command that was not begun: an option that does not fit it, or an answer that was not given. */
export class CommandRefused extends Schema.TaggedError<CommandRefused>()("CommandRefused", {
  problem: Schema.String,
  exitCode: Schema.Number
}) {
  override get message(): string {
    return this.problem
  }
}

export const wrongUsage = (problem: string): CommandRefused => new CommandRefused({ problem, exitCode: ExitCode.usage })

export const refusal = (problem: string): CommandRefused => new CommandRefused({ problem, exitCode: ExitCode.refused })
