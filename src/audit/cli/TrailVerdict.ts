import type { Verdict } from "../../platform/cli/CommandRunner.ts"
import { ExitCode } from "../../platform/cli/ExitCode.ts"
import { program } from "../../platform/cli/Help.ts"
import type { TrailStatus } from "./TrailStatus.ts"

const events = (count: number): string => (count === 1 ? "1 event" : `${count} events`)

/** Null when each event that was ever offered is where it belongs, and nobody has to do anything. */
export const trailVerdict = ({ account, problem }: Pick<TrailStatus, "account" | "problem">): Verdict | null => {
  if (account === null) {
    return { error: "TrailUnreachable", message: problem ?? "the database is away", exitCode: ExitCode.noAccess }
  }
  const { deadLetters, sources, total } = account
  const gone = sources.reduce((sum, { gaps }) => sum + (gaps?.beyond ?? 0), 0)
  const found = [
    ...(total.lost > 0 ? [`${events(total.lost)} lost, as loss receipts in the trail say`] : []),
    ...(total.unaccounted > 0 ? [`nothing accounts for ${events(total.unaccounted)}`] : []),
    ...(gone > 0 ? [`${events(gone)} gone that were in the trail once`] : [])
  ]
  if (found.length > 0) {
    return {
      error: "EventsUnaccounted",
      message: `${found.join("; ")}. Which numbers are missing: ${program} trail status --gaps`,
      exitCode: ExitCode.unaccounted
    }
  }
  return deadLetters.waiting === 0
    ? null
    : {
        error: "LettersWait",
        message: `${deadLetters.waiting} dead letters wait. What they are: ${program} dead-letters list`,
        exitCode: ExitCode.deadLettersWaiting
      }
}
