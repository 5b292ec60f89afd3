import * as Schema from "effect/Schema"

/**
 * What went wrong with a provider.
 *
 * - `unreachable`: no connection, or it was reset.
 * - `timed_out`: one of its deadlines passed.
 * - `broken`: an error of its own, or an answer that is none.
 * - `empty`: an answer without a choice, which is what some give to a prompt that they block.
 * - `misconfigured`: it does not take the key, or does not know the model.
 * - `busy`: it asks for fewer requests.
 * - `rejected`: it does not take this request.
 * - `cooling`: it failed so often that it is left alone for a while.
 * - `unavailable`: it cannot be asked from here, for lack of a key.
 */
export const FailureKind = Schema.Literal(
  "unreachable",
  "timed_out",
  "broken",
  "empty",
  "misconfigured",
  "busy",
  "rejected",
  "cooling",
  "unavailable"
)
export type FailureKind = typeof FailureKind.Type

/** A provider gave no usable answer. `reason` is our own words: nothing that the provider sent is in it. */
export class ProviderFailure extends Schema.TaggedError<ProviderFailure>()("ProviderFailure", {
  provider: Schema.String,
  kind: FailureKind,
  reason: Schema.String,
  retryAfterMillis: Schema.optional(Schema.Number)
}) {
  override get message(): string {
    return `provider ${this.provider} ${this.reason}`
  }
}

/**
 * Whether the provider as a whole, not the request or the shell, is at fault: such failures in a row open its cool-down. A shell
 * whose model it does not have keeps nobody from its other shells.
 */
export const countsAgainst = (kind: FailureKind): boolean =>
  kind === "unreachable" || kind === "timed_out" || kind === "broken" || kind === "busy"
