import type * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import type * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type { AuditLog } from "../../audit/AuditLog.ts"
import type { GatekeeperClient } from "../../clients/GatekeeperClient.ts"
import { requestId } from "../../platform/http/RequestId.ts"
import { refusalOfDenial, refusalOfUnavailable } from "./CallerIdentity.ts"
import { makeChatRequestContext } from "./ChatRequestContext.ts"
import { type RouteRefused, refusalResponse } from "./RouteRefused.ts"

/** Answers a question about `resource`, for those who may read it. The gatekeeper records that they asked. */
export const authorizedRead = (
  gatekeeper: typeof GatekeeperClient.Service,
  trail: typeof AuditLog.Service,
  request: HttpServerRequest.HttpServerRequest,
  resource: Effect.Effect<string, RouteRefused>,
  answer: Effect.Effect<HttpServerResponse.HttpServerResponse, RouteRefused>
): Effect.Effect<HttpServerResponse.HttpServerResponse> =>
  Effect.gen(function* () {
    const context = makeChatRequestContext({
      requestId: requestId(request),
      authorization: request.headers["authorization"],
      startedAtMillis: yield* Clock.currentTimeMillis
    })
    yield* gatekeeper
      .authorize({
        authorization: context.authorization,
        requestId: context.requestId,
        action: "read",
        resource: yield* resource
      })
      .pipe(
        Effect.catchTags({
          NotAuthorized: (denial) => Effect.fail(refusalOfDenial(denial)),
          PeerUnavailable: (absent) => Effect.flatMap(refusalOfUnavailable(trail, context, absent), Effect.fail)
        })
      )
    return yield* answer
  }).pipe(Effect.catchTag("RouteRefused", (refusal) => Effect.succeed(refusalResponse(refusal, requestId(request)))))
