import * as HttpClient from "@effect/platform/HttpClient"
import type * as HttpClientError from "@effect/platform/HttpClientError"
import * as HttpClientRequest from "@effect/platform/HttpClientRequest"
import type * as HttpClientResponse from "@effect/platform/HttpClientResponse"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import { DatabaseError } from "../../platform/postgres/DatabaseError.ts"
import { foreignSource } from "../store/AuditStore.ts"
import type { Operation } from "./TrailProtocol.ts"

const Refusal = Schema.parseJson(
  Schema.Struct({ error: Schema.Struct({ code: Schema.String, message: Schema.String }) })
)
const decodeRefusal = Schema.decodeUnknownEither(Refusal)

/** Error codes of a connection that was not established: nothing was sent. */
const notConnected: ReadonlyArray<string> = [
  "ECONNREFUSED",
  "ENOTFOUND",
  "EAI_AGAIN",
  "EHOSTUNREACH",
  "ENETUNREACH",
  "UND_ERR_CONNECT_TIMEOUT"
]

/** Returns the code of the innermost error that has a code. */
const codeOf = (error: unknown, depth = 0): string | undefined => {
  if (typeof error !== "object" || error === null || depth > 8) return undefined
  const inner = codeOf(Reflect.get(error, "cause"), depth + 1)
  const code: unknown = Reflect.get(error, "code")
  return inner ?? (typeof code === "string" ? code : undefined)
}

/** Converts a failure without an answer. A sent request may have been done; only a failed connect leaves no doubt. */
export const unansweredBy = (error: HttpClientError.HttpClientError): DatabaseError => {
  const code = codeOf(error)
  return code !== undefined && notConnected.includes(code)
    ? new DatabaseError({ phase: "connect", reason: `the gatekeeper cannot be reached (${code})` })
    : new DatabaseError({
        phase: "commit",
        reason: `the connection to the gatekeeper broke before its answer (${code ?? error.reason})`
      })
}

/** Error codes of the gatekeeper itself, before it asked its database. */
const undone: ReadonlyArray<string> = [
  "audit_unavailable",
  "keys_unavailable",
  "shutting_down",
  "too_many_failures",
  "trail_unreachable"
]

/**
 * Converts a status other than 200 into a database error, so that the writer reacts as to a database: it waits (503), pauses
 * and alarms (identity, permission, protocol), or sends fewer rows (413).
 */
export const refusalOf = (status: number, body: string): DatabaseError => {
  const told = decodeRefusal(body)
  const code = Either.isRight(told) ? told.right.error.code : undefined
  const words = Either.isRight(told) ? told.right.error.message : "without a word that a gatekeeper says"
  const reason = `the gatekeeper answered ${status}: ${words}`
  const setUp = (sqlstate: string, hint: string) => new DatabaseError({ phase: "statement", sqlstate, reason, hint })
  // An answer of a proxy says nothing about what the gatekeeper did.
  if (code === undefined) return new DatabaseError({ phase: "commit", reason })
  if (code === "source_of_another") return setUp(foreignSource, "Its owner's next start takes it over.")
  if (status === 401) return setUp("28000", "Enrol the key of this service: gravitas service enroll.")
  if (status === 403) return setUp("42501", "Allow `write` on `audit/store` in the access policy.")
  if (status === 413) return new DatabaseError({ phase: "statement", sqlstate: "54000", reason })
  if (undone.includes(code)) return new DatabaseError({ phase: "connect", reason })
  if (status < 500) return setUp("42000", "Run the same version on both sides.")
  return new DatabaseError({ phase: "commit", reason })
}

export interface RemoteOptions {
  /** The URL of the gatekeeper: `http://127.0.0.1:8001`. */
  readonly location: Effect.Effect<string>
  readonly token: {
    /** The value of the `Authorization` header. */
    readonly authorization: Effect.Effect<Redacted.Redacted, DatabaseError>
    /** The last one was refused: the next is another, if this process makes them. */
    readonly renew: Effect.Effect<void>
  }
}

/** Asks a `TrailService` over HTTP. */
export interface RemoteCalls {
  /**
   * Fails with the error of the gatekeeper's store, or with a `DatabaseError` of phase `connect` if nothing was done, and of
   * phase `commit` without a SQLSTATE if that is unknown.
   */
  readonly ask: <A, I, B, J, F, G>(
    name: string,
    operation: Operation<A, I, B, J, F, G>,
    request: A,
    deadline: Duration.DurationInput
  ) => Effect.Effect<B, F | DatabaseError>
}

export const make = ({ location, token }: RemoteOptions): Effect.Effect<RemoteCalls, never, HttpClient.HttpClient> =>
  Effect.map(HttpClient.HttpClient, (client) => {
    const send = Effect.fnUntraced(function* (name: string, text: string) {
      const request = HttpClientRequest.post(`${yield* location}/audit/store/${name}`).pipe(
        HttpClientRequest.setHeader("authorization", Redacted.value(yield* token.authorization)),
        HttpClientRequest.bodyText(text, "application/json")
      )
      const response = yield* client.execute(request)
      return { response, body: yield* response.text }
    })

    /** Renews the token once: it may have expired, or its signing secret may have changed. */
    const sendTwice = (name: string, text: string) =>
      Effect.flatMap(send(name, text), (answer) =>
        answer.response.status === 401 ? Effect.zipRight(token.renew, send(name, text)) : Effect.succeed(answer)
      )

    return {
      ask: Effect.fnUntraced(function* (name, operation, request, deadline) {
        const text = JSON.stringify(yield* Effect.orDie(Schema.encode(operation.request)(request)))
        const { body, response } = yield* sendTwice(name, text).pipe(
          Effect.mapError((error: HttpClientError.HttpClientError | DatabaseError) =>
            error._tag === "DatabaseError" ? error : unansweredBy(error)
          ),
          // An interrupted caller does not wait for the connection to close.
          Effect.disconnect,
          Effect.timeoutFail({
            duration: deadline,
            onTimeout: () =>
              new DatabaseError({
                phase: "commit",
                late: true,
                reason: `the gatekeeper did not answer within ${Duration.format(deadline)}`
              })
          })
        )
        if (response.status !== 200) return yield* refusalOf(response.status, body)
        const answer = yield* Schema.decodeUnknown(Schema.parseJson(operation.answer))(body).pipe(
          Effect.mapError(() => unreadable(response))
        )
        return "failure" in answer ? yield* Effect.fail(answer.failure) : answer.value
      })
    }
  })

/** The server answered, so it may have done the work. */
const unreadable = (response: HttpClientResponse.HttpClientResponse) =>
  new DatabaseError({
    phase: "commit",
    reason: `the answer (${response.status}) is not a gatekeeper's answer; check which server listens at GATEKEEPER_URL`
  })
