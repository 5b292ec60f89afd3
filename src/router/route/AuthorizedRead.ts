import type * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import type * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type { AuditLog } from "../../audit/AuditLog.ts"
import { GatekeeperClient } from "../../clients/GatekeeperClient.ts"
import { requestId } from "../../platform/http/RequestId.ts"
import { refusalOfDenial, refuseUnavailable } from "./CallerIdentity.ts"
import { makeChatRequestContext } from "./ChatRequestContext.ts"
import { type RouteRefused, refusalResponse } from "./RouteRefused.ts"

/** Answers a request to read `resource`, if the gatekeeper allows it. The gatekeeper records its decision. */
export const authorizedRead = <R>(
  request: HttpServerRequest.HttpServerRequest,
  resource: string,
  answer: Effect.Effect<HttpServerResponse.HttpServerResponse, RouteRefused, R>
): Effect.Effect<HttpServerResponse.HttpServerResponse, never, R | GatekeeperClient | AuditLog> =>
  Effect.gen(function* () {
    const gatekeeper = yield* GatekeeperClient
    const context = makeChatRequestContext({
      requestId: requestId(request),
      authorization: request.headers["authorization"],
      startedAtMillis: yield* Clock.currentTimeMillis,
      storeContent: false
    })
    const { authorization, requestId: id } = context
    yield* gatekeeper.authorize({ authorization, requestId: id, action: "read", resource }).pipe(
      Effect.catchTags({
        NotAuthorized: (denial) => Effect.fail(refusalOfDenial(denial)),
        PeerUnavailable: (unavailable) => refuseUnavailable(context, unavailable)
      })
    )
    return yield* answer
  }).pipe(Effect.catchTag("RouteRefused", (refusal) => Effect.succeed(refusalResponse(refusal, requestId(request)))))
