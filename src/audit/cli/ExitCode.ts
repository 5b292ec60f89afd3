import { commonExitCode, exitCodeOf } from "../../platform/cli/ExitCode.ts"

/** What `trail`, `journal` and `dead-letters` end the process with. */
export const ExitCode = {
  ...commonExitCode,
  /** `trail status`: events are lost, or nothing explains where they are. */
  unaccounted: 3,
  /** `trail status`: all is accounted for, and dead letters wait for somebody. */
  lettersWait: 4,
  /** `journal fsck`: damage was found, and is as it was. */
  damaged: 5,
  /** `journal fsck --repair`: damage was found, and is put aside. */
  repaired: 6,
  /** `journal fsck`: the journal is that of a living process. */
  inUse: 7,
  /** `dead-letters replay`: some letters did not come into the trail. */
  unreplayed: 8,
  /** There is no such journal, or no such dead letter. */
  unknown: 11
} as const

/** Of failures that know no exit code, by tag. */
const codes: ReadonlyMap<string, number> = new Map([
  ["TrailUnreachable", ExitCode.noAccess],
  ["ReplayStopped", ExitCode.noAccess],
  ["LetterUnknown", ExitCode.unknown],
  ["JournalInUse", ExitCode.inUse]
])

export const exitCodeOfFailure = (failure: { readonly _tag: string }): number =>
  codes.get(failure._tag) ?? exitCodeOf(failure)
