import * as HttpApiSchema from "@effect/platform/HttpApiSchema"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { byStatus } from "../contracts/Endpoint.ts"
import { parseJson } from "../domain/Text.ts"

/** What an `HttpApiEndpoint` with a JSON body declares, and its group. */
interface DeclaredEndpoint<Payload, Success, Failure> {
  readonly path: string
  readonly payloadSchema: Option.Option<Schema.Schema<Payload, unknown>>
  readonly successSchema: Schema.Schema<Success, unknown>
  readonly errorSchema: Schema.Schema<Failure, unknown>
}

export interface PeerAnswer {
  readonly status: number
  /** JSON. */
  readonly text: string
}

/** An error that the contract declares, as the peer answered it. */
export interface DeclaredFailure<Failure> {
  readonly _tag: "DeclaredFailure"
  readonly body: Failure
}

/** The answer is not of the contract, or the request has no JSON. `status` is one that the contract does not declare. */
export class NotOfContract extends Data.TaggedError("NotOfContract")<{
  readonly what: "request" | "answer"
  readonly status?: number
}> {}

/** An endpoint of a peer's contract, as its clients use it: over HTTP and in process they send and read the same text. */
export interface PeerEndpoint<Payload, Success, Failure> {
  readonly path: string
  /** The JSON text of a request; fails where a value has none. */
  readonly encode: (payload: Payload) => Effect.Effect<string, NotOfContract>
  readonly decode: (answer: PeerAnswer) => Effect.Effect<Success, DeclaredFailure<Failure> | NotOfContract>
}

const decodersOf = <A>(...declared: Parameters<typeof byStatus<A>>) =>
  new Map(byStatus(...declared).map(([status, one]) => [status, Schema.decodeUnknownOption(one)]))

/** Undefined where a value has no JSON: it refers to itself, or holds a bigint. */
const jsonOf = (value: unknown): string | undefined => {
  try {
    return JSON.stringify(value)
  } catch {
    return undefined
  }
}

/** Derives the client's side of an endpoint. `groupErrors` are those that its group declares. */
export const peerEndpoint = <Payload, Success, Failure, GroupFailure, Encoded>(
  { errorSchema, path, payloadSchema, successSchema }: DeclaredEndpoint<Payload, Success, Failure>,
  groupErrors: Schema.Schema<GroupFailure, Encoded>
): PeerEndpoint<Payload, Success, Failure | GroupFailure> => {
  const encodePayload = Schema.encodeOption(Option.getOrThrow(payloadSchema))
  const successes = decodersOf(successSchema, HttpApiSchema.getStatusSuccess)
  const failures = decodersOf(HttpApiSchema.UnionUnify(errorSchema, groupErrors), HttpApiSchema.getStatusError)
  return {
    path,
    encode: (payload) =>
      Effect.suspend(() => {
        const encoded = encodePayload(payload)
        const text = Option.isSome(encoded) ? jsonOf(encoded.value) : undefined
        return text === undefined ? new NotOfContract({ what: "request" }) : Effect.succeed(text)
      }),
    decode: ({ status, text }) =>
      Effect.suspend((): Effect.Effect<Success, DeclaredFailure<Failure | GroupFailure> | NotOfContract> => {
        const success = successes.get(status)
        const failure = failures.get(status)
        if (success === undefined && failure === undefined) return new NotOfContract({ what: "answer", status })
        const body = parseJson(text)
        if (Option.isNone(body)) return new NotOfContract({ what: "answer" })
        const failed = failure?.(body.value)
        if (failed?._tag === "Some") return Effect.fail({ _tag: "DeclaredFailure", body: failed.value } as const)
        const succeeded = success?.(body.value)
        return succeeded?._tag === "Some" ? Effect.succeed(succeeded.value) : new NotOfContract({ what: "answer" })
      })
  }
}
