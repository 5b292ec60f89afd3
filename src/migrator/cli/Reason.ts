import * as Options from "@effect/cli/Options"
import * as Option from "effect/Option"

/** What a command that writes history by hand wants to know. Kept in schema_event for those who come later. */
export const reason = Options.text("reason").pipe(
  Options.withDescription('Why, for those who read the event log later: --reason "restored from the backup of …".'),
  Options.map((text) => text.trim()),
  Options.optional,
  Options.map(Option.filter((text) => text !== ""))
)
