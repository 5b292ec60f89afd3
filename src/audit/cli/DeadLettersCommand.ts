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
import { flag, limitOption, outputOptions } from "../../platform/cli/Flags.ts"
import { helpOf } from "../../platform/cli/Help.ts"
import type { Database } from "../../platform/postgres/Database.ts"

/** Loaded where it is run: other commands, which share the command line, need none of it. */
const letters = Effect.promise(() => import("./Letters.ts"))

const after = Options.text("after").pipe(
  Options.withDescription("Go on after this letter, as the page before named it."),
  Options.mapEffect((text) => {
    const [, eventId, leafHash] = /^([0-9a-f-]{36}):([0-9a-f]{64})$/.exec(text) ?? []
    return eventId === undefined || leafHash === undefined
      ? Effect.fail(
          ValidationError.invalidValue(
            HelpDoc.p(`--after ${JSON.stringify(text)} is not <event id>:<leaf hash>, as a page's last line has it`)
          )
        )
      : Effect.succeed({ eventId, leafHash })
  }),
  Options.optional
)

const eventId = Args.text({ name: "event-id" })

/** Who asks, for the record, where nobody says. */
const loginName = Effect.orElseSucceed(
  Effect.try(() => Os.userInfo().username),
  () => "somebody"
)

const by = Options.text("by").pipe(
  Options.withDescription("Who replays, for the record. Default: the name you are logged in with."),
  Options.optional
)

const all = flag("all").pipe(Options.withDescription("Each letter that is not in the trail yet, oldest first."))

const yes = flag("yes").pipe(Options.withDescription("Answer yes where the command would ask."))

const unclear = wrongUsage("say which letters: their event ids, or --all for each that is not in the trail yet")

/** `dead-letters` and its commands. `database` holds the gatekeeper's. */
export const deadLettersCommand = <E extends CommandError, R>(database: Layer.Layer<Database, E, R>) => {
  const list = Command.make(
    "list",
    { after, limit: limitOption(50, "letters"), ...outputOptions },
    ({ after, ...given }) =>
      Effect.flatMap(letters, ({ listLetters }) =>
        listLetters(database, { ...given, after: Option.getOrUndefined(after) })
      )
  ).pipe(
    Command.withDescription(
      helpOf("Lists the events that the trail's table refused, newest first; those that were replayed since too.", [
        "dead-letters list",
        "dead-letters list --limit 200 --json"
      ])
    )
  )

  const show = Command.make("show", { eventId, ...outputOptions }, (given) =>
    Effect.flatMap(letters, ({ showLetter }) => showLetter(database, given))
  ).pipe(
    Command.withDescription(
      helpOf("Shows a dead letter: why it was refused, the event as it was, and what became of each replay.", [
        "dead-letters show 01983f2e-7c1a-7000-8000-0123456789ab",
        "dead-letters show 01983f2e-7c1a-7000-8000-0123456789ab --json"
      ])
    )
  )

  const replay = Command.make(
    "replay",
    { all, by, eventIds: Args.repeated(eventId), yes, ...outputOptions },
    ({ all, by, eventIds, yes, ...given }) =>
      Effect.flatMap(letters, ({ replayLetters }) =>
        replayLetters(database, {
          ...given,
          request: Effect.gen(function* () {
            if (all === eventIds.length > 0) return yield* unclear
            const name = Option.isSome(by) ? by.value : yield* loginName
            if (!all) return { ids: eventIds, by: name }
            yield* confirmed({ yes }, "Replay every dead letter that is not in the trail yet?")
            return { all, by: name }
          })
        })
      )
  ).pipe(
    Command.withDescription(
      helpOf(
        "Brings dead letters into the trail, from their original bytes. Harmless when repeated: a letter counts once. Each " +
          "that comes into the trail is told of there. Exits with 8 when the table still refuses some; they are kept.",
        [
          "dead-letters replay 01983f2e-7c1a-7000-8000-0123456789ab",
          'dead-letters replay --all --by "Ada, after the column was widened"',
          "dead-letters replay --all --yes --json"
        ]
      )
    )
  )

  return Command.make("dead-letters").pipe(
    Command.withDescription(
      helpOf("Looks at events that the trail's table refused, and brings them in once it would take them.", [
        "dead-letters list",
        "dead-letters replay --all"
      ])
    ),
    Command.withSubcommands([list, show, replay])
  )
}
