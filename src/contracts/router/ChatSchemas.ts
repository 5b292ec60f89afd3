import * as Schema from "effect/Schema"
import { memberOf } from "../../domain/Text.ts"

/** L1 is local, L2 is hosted, L3 is the most capable and the most expensive. */
export const tiers = ["L1", "L2", "L3"] as const
export type Tier = (typeof tiers)[number]

/** The roles of a message's author: those that `router.history` takes. */
export const roles = ["system", "developer", "user", "assistant", "tool"] as const
export type Role = (typeof roles)[number]

/** The values of fields that a chat request leaves out. */
export const defaults = { complexity: 5, priority: 10, n: 1 } as const

export const tokenLimits = { min: 1, max: 10_000_000, integer: true } as const

/** OpenAI's limit of `n`. */
export const choiceLimits = { min: 1, max: 128, integer: true } as const

const Message = Schema.Struct(
  {
    role: Schema.Literal(...roles),
    content: Schema.optional(
      Schema.NullOr(
        Schema.Union(Schema.String, Schema.Array(Schema.Record({ key: Schema.String, value: Schema.Unknown })))
      )
    )
  },
  { key: Schema.String, value: Schema.Unknown }
)

const optional = <A, I>(schema: Schema.Schema<A, I>, description: string) =>
  Schema.optional(Schema.NullOr(schema)).annotations({ description })

/** Wide on purpose: the handler reads the body, so that what is refused has its row in the trail. */
export const ChatRequestBody = Schema.Struct(
  {
    model: Schema.String.annotations({ description: "a shell's name, a ghost's, or `auto`" }),
    messages: Schema.NonEmptyArray(Message),
    stream: optional(Schema.Boolean, "answer as server-sent events, ending in `data: [DONE]`"),
    stream_options: optional(
      Schema.Struct({ include_usage: optional(Schema.Boolean, "usage as the last chunk") }),
      "of a stream"
    ),
    max_tokens: optional(
      Schema.Int.pipe(Schema.between(tokenLimits.min, tokenLimits.max)),
      "the limit of the answer; none is sent to the provider where it is left out"
    ),
    n: optional(
      Schema.Int.pipe(Schema.between(choiceLimits.min, choiceLimits.max)),
      "choices of the answer, 1 where left out; not every provider has more"
    ),
    complexity: optional(
      Schema.Number.pipe(Schema.between(0, 10)),
      "0 to 10, 5 where left out; over 8, `auto` means L3"
    ),
    priority: optional(Schema.Number.pipe(Schema.between(0, 1_000)), "0 to 1000; recorded"),
    force_tier: optional(Schema.Literal(...tiers), "only shells of this tier")
  },
  { key: Schema.String, value: Schema.Unknown }
).annotations({ examples: [{ model: "echo", messages: [{ role: "user", content: "which shelf?" }] }] })

const UsageBody = Schema.Struct(
  { prompt_tokens: Schema.Number, completion_tokens: Schema.Number },
  { key: Schema.String, value: Schema.Unknown }
)

export const ChatCompletion = Schema.Struct({
  id: Schema.String,
  object: Schema.Literal("chat.completion"),
  created: Schema.Number,
  model: Schema.String.annotations({ description: "the shell that answered" }),
  choices: Schema.Array(Schema.Unknown),
  usage: Schema.optional(UsageBody)
}).annotations({ description: "The answer, whole or as events." })

/** The platform's document has one content type for a status; with `stream` this one has another. */
export const alsoAsEvents = (operation: Readonly<Record<string, unknown>>) => {
  const whole = memberOf(operation["responses"], "200")
  const content = { ...Object(memberOf(whole, "content")), "text/event-stream": { schema: { type: "string" } } }
  return { ...operation, responses: { ...Object(operation["responses"]), 200: { ...Object(whole), content } } }
}
