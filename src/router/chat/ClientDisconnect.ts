import type * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import * as NodeHttpServerRequest from "@effect/platform-node/NodeHttpServerRequest"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type { Timeouts } from "../models/Catalog.ts"
import type { ChatRequestContext } from "../route/ChatRequestContext.ts"

/** Later than the provider's own deadline, so that only a slow client can miss it. */
const readingTimeout = ({ total }: Timeouts): Duration.Duration => Duration.sum(Duration.times(total, 1.1), "1 second")

const disconnect = (
  context: ChatRequestContext,
  request: HttpServerRequest.HttpServerRequest,
  reason: NonNullable<ChatRequestContext["disconnect"]>
): Effect.Effect<void> =>
  Effect.sync(() => {
    context.disconnect = reason
    NodeHttpServerRequest.toServerResponse(request).destroy()
  })

/**
 * Closes the connection of a client that does not read its answer in time. The provider's deadlines do not run while the client does
 * not pull, so nothing else would free the provider's connection and the session.
 */
export const disconnectSlowReader = (
  context: ChatRequestContext,
  request: HttpServerRequest.HttpServerRequest,
  timeouts: Timeouts
): Effect.Effect<void> => Effect.delay(disconnect(context, request, "unread"), readingTimeout(timeouts))

/** Closes the connection when the guardian ends the session, unless the outcome of the answer is recorded already. */
export const disconnectEndedSession = (
  context: ChatRequestContext,
  request: HttpServerRequest.HttpServerRequest
): Effect.Effect<void> =>
  Effect.zipRight(
    Deferred.await(context.sessionOver),
    Effect.suspend(() => (context.outcome === undefined ? disconnect(context, request, "session_over") : Effect.void))
  )
