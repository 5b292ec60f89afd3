import * as Os from "node:os"
import * as Args from "@effect/cli/Args"
import * as Command from "@effect/cli/Command"
import * as HelpDoc from "@effect/cli/HelpDoc"
import * as Options from "@effect/cli/Options"
import * as ValidationError from "@effect/cli/ValidationError"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import { type CommandError, confirmed, wrongUsage } from "../../platform/cli/CommandRunner.ts"
import { flag, limitOption, outputOptions, quotedWord } from "../../platform/cli/Flags.ts"
import { withHelp } from "../../platform/cli/Help.ts"
import type { Database } from "../../platform/postgres/Database.ts"

/** Loaded when the command runs, so that other commands start faster. */
const actions = Effect.promise(() => import("./LetterActions.ts"))

const after = Options.text("after").pipe(
  Options.withDescription("Continue after this letter, which the previous page names."),
  Options.mapEffect((text) => {
    const [, eventId, leafHash] = /^([0-9a-f-]{36}):([0-9a-f]{64})$/.exec(text) ?? []
    return eventId === undefined || leafHash === undefined
      ? Effect.fail(
          ValidationError.invalidValue(
            HelpDoc.p(
              `--after ${quotedWord(text)} is not <event id>:<leaf hash>; copy it from the end of the previous page`
            )
          )
        )
      : Effect.succeed({ eventId, leafHash })
  }),
  Options.optional
)

const eventId = Args.text({ name: "event-id" }).pipe(
  Args.withDescription("The id of the event that was refused, as `dead-letters list` shows it.")
)

/** The default of `--by`. */
const loginName = Effect.orElseSucceed(
  Effect.try(() => Os.userInfo().username),
  () => "unknown"
)

const by = Options.text("by").pipe(
  Options.withDescription("The name to record with the replay. Default: your login name."),
  Options.optional
)

const all = flag("all").pipe(
  Options.withDescription(
    "Replay every letter that is not in the trail yet, oldest first, but no conflict: name those."
  )
)

const yes = flag("yes").pipe(Options.withDescription("Do not ask for confirmation."))

const noLetters = wrongUsage("give the event ids of letters, or --all for every letter that is not in the trail yet")

/** `dead-letters` and its subcommands. `database` contains the gatekeeper's. */
export const deadLettersCommand = <E extends CommandError, R>(database: Layer.Layer<Database, E, R>) => {
  const list = Command.make(
    "list",
    { after, limit: limitOption(50, "letters"), ...outputOptions },
    ({ after, ...options }) =>
      Effect.flatMap(actions, ({ listLetters }) =>
        listLetters(database, { ...options, after: Option.getOrUndefined(after) })
      )
  ).pipe(
    withHelp("Lists the events that the trail's table refused, newest first, also those that were replayed.", [
      "dead-letters list",
      "dead-letters list --limit 200 --json"
    ])
  )

  const show = Command.make("show", { eventId, ...outputOptions }, (options) =>
    Effect.flatMap(actions, ({ showLetter }) => showLetter(database, options))
  ).pipe(
    withHelp("Shows a dead letter: the reason, the original event, and the outcome of each replay.", [
      "dead-letters show 01983f2e-7c1a-7000-8000-0123456789ab",
      "dead-letters show 01983f2e-7c1a-7000-8000-0123456789ab --json"
    ])
  )

  const replay = Command.make(
    "replay",
    { all, by, eventIds: Args.repeated(eventId), yes, ...outputOptions },
    ({ all, by, eventIds, yes, ...options }) =>
      Effect.flatMap(actions, ({ replayLetters }) =>
        replayLetters(database, {
          ...options,
          request: Effect.gen(function* () {
            if (all === eventIds.length > 0) return yield* noLetters
            const name = Option.isSome(by) ? by.value : yield* loginName
            if (!all) return { ids: eventIds, by: name }
            yield* confirmed({ yes }, "Replay every dead letter that is not in the trail yet, without conflicts?")
            return { all, by: name }
          })
        })
      )
  ).pipe(
    withHelp(
      "Writes dead letters to the trail, from their original bytes. A repeated replay changes nothing: each letter has one " +
        "row. An audit event reports each replay. A conflict (an event whose ingest id was used for another) is replayed only by " +
        "its event id, and its row is marked ingest:conflict. Exits with 8 when the table still refuses letters; they are kept.",
      [
        "dead-letters replay 01983f2e-7c1a-7000-8000-0123456789ab",
        'dead-letters replay --all --by "Ada, after the column was widened"',
        "dead-letters replay --all --yes --json"
      ]
    )
  )

  return Command.make("dead-letters").pipe(
    withHelp("Shows the events that the trail's table refused, and replays them once the cause is fixed.", [
      "dead-letters list",
      "dead-letters replay --all"
    ]),
    Command.withSubcommands([list, show, replay])
  )
}
