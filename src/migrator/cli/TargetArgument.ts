import * as Args from "@effect/cli/Args"
import * as HelpDoc from "@effect/cli/HelpDoc"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { type CommandRefused, wrongUsage } from "../../platform/cli/CommandRefused.ts"
import type { Target } from "../plan/Target.ts"
import { type OfflineRange, parseRange } from "../plan/Target.ts"
import type { CommandOptions } from "./GlobalOptions.ts"

/** Where to go; for a script (`--sql`) also from where. */
export interface Destination {
  readonly from: Option.Option<Target>
  readonly to: Target
}

const ofRange = ({ from, to }: OfflineRange): Destination => ({ from: Option.some(from), to })

/** Where to go, as the one argument of a command. `expected` completes "no target; expected …". */
export const targetArgument = (parse: (text: string) => Option.Option<Target>, expected: string) =>
  Args.text({ name: "target" }).pipe(
    Args.withDescription(`${expected}; with --sql also a range, from:to`),
    Args.mapEffect((text) =>
      Option.map(parse(text), (to): Destination => ({ from: Option.none(), to })).pipe(
        Option.orElse(() => Option.map(parseRange(text, parse), ofRange)),
        Effect.mapError(() => HelpDoc.p(`${JSON.stringify(text)} is no target; expected ${expected}`))
      )
    )
  )

const names = (to: Target): boolean => (to._tag === "UpTo" || to._tag === "DownTo") && to.number > 0

/** A target that names a revision is one service's; relative ones and the two ends are everybody's. */
export const needsOneService = ({ services }: CommandOptions, to: Target): CommandRefused | null =>
  names(to) && services.length > 1
    ? wrongUsage("a revision belongs to one service; say which, for example --service gatekeeper")
    : null

/** Why a command cannot go there, known without a database. */
export const misplaced = (given: CommandOptions, { from, to }: Destination): CommandRefused | null =>
  Option.match(from, {
    onNone: () => needsOneService(given, to),
    onSome: (start) =>
      given.sql
        ? (needsOneService(given, start) ?? needsOneService(given, to))
        : wrongUsage("a range is for --sql; without it a command begins where the database stands")
  })
