import * as Args from "@effect/cli/Args"
import * as HelpDoc from "@effect/cli/HelpDoc"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { type CommandRefused, wrongUsage } from "../../platform/cli/CommandRunner.ts"
import type { Target } from "../plan/Target.ts"
import { type OfflineRange, parseRange } from "../plan/Target.ts"
import type { CommandOptions } from "./GlobalOptions.ts"

/** The target of a command; for a script (`--sql`) also where it begins. */
export interface Destination {
  readonly from: Option.Option<Target>
  readonly to: Target
}

const ofRange = ({ from, to }: OfflineRange): Destination => ({ from: Option.some(from), to })

/** The target as the argument of a command. `expected` completes "is not a target; expected …". */
export const targetArgument = (parse: (text: string) => Option.Option<Target>, expected: string) =>
  Args.text({ name: "target" }).pipe(
    Args.withDescription(`${expected}; with --sql also a range, from:to`),
    Args.mapEffect((text) =>
      Option.map(parse(text), (to): Destination => ({ from: Option.none(), to })).pipe(
        Option.orElse(() => Option.map(parseRange(text, parse), ofRange)),
        Effect.mapError(() => HelpDoc.p(`${JSON.stringify(text)} is not a target; expected ${expected}`))
      )
    )
  )

const names = (to: Target): boolean => (to._tag === "UpTo" || to._tag === "DownTo") && to.number > 0

/** Refuses several services for a target that names a revision; `head`, `base`, +N and -N are valid for all of them. */
export const needsOneService = ({ services }: CommandOptions, to: Target): CommandRefused | null =>
  names(to) && services.length > 1
    ? wrongUsage("a revision belongs to one service; name it, for example --service gatekeeper")
    : null

/** Why the target is not valid, as far as that is known without a database. */
export const misplaced = (options: CommandOptions, { from, to }: Destination): CommandRefused | null =>
  Option.match(from, {
    onNone: () => needsOneService(options, to),
    onSome: (start) =>
      options.sql
        ? (needsOneService(options, start) ?? needsOneService(options, to))
        : wrongUsage("a range is for --sql; without it a command begins at the current revision")
  })
