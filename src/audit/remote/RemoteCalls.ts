import * as HttpClient from "@effect/platform/HttpClient"
import type * as HttpClientError from "@effect/platform/HttpClientError"
import * as HttpClientRequest from "@effect/platform/HttpClientRequest"
import type * as HttpClientResponse from "@effect/platform/HttpClientResponse"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import type { ServiceToken } from "../../platform/config/ServiceToken.ts"
import { DatabaseError } from "../../platform/postgres/DatabaseError.ts"
import { refusalOf, unansweredBy } from "./RemoteFailure.ts"
import type { Operation } from "./TrailProtocol.ts"

export interface RemoteOptions {
  /** The URL of the gatekeeper: `http://127.0.0.1:8001`. */
  readonly location: Effect.Effect<string>
  /** The identity of the caller. */
  readonly token: typeof ServiceToken.Service
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
          Effect.mapError((error: HttpClientError.HttpClientError) => unansweredBy(error)),
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
