import type * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import * as NodeHttpServerRequest from "@effect/platform-node/NodeHttpServerRequest"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type { Timeouts } from "../models/Catalog.ts"
import type { ChatRequestContext } from "../route/ChatRequestContext.ts"

/** Later than the provider's own deadline: what is late then is so by its client. */
const patienceOf = ({ total }: Timeouts): Duration.Duration => Duration.sum(Duration.times(total, 1.1), "1 second")

const close = (
  context: ChatRequestContext,
  request: HttpServerRequest.HttpServerRequest,
  cut: NonNullable<ChatRequestContext["cut"]>
): Effect.Effect<void> =>
  Effect.sync(() => {
    context.cut = cut
    NodeHttpServerRequest.toServerResponse(request).destroy()
  })

/**
 * Closes the connection of a client that does not read its answer in time. Nothing else would ever end it: the provider's deadlines
 * stand still while nobody asks for more, and its connection and the session would be held for as long as the client likes.
 */
export const disconnectSlowReader = (
  context: ChatRequestContext,
  request: HttpServerRequest.HttpServerRequest,
  timeouts: Timeouts
): Effect.Effect<void> => Effect.delay(close(context, request, "unread"), patienceOf(timeouts))

/** Closes the connection when the guardian says that the session may not go on, unless how the answer ended is told already. */
export const disconnectEndedSession = (
  context: ChatRequestContext,
  request: HttpServerRequest.HttpServerRequest
): Effect.Effect<void> =>
  Effect.zipRight(
    Deferred.await(context.sessionOver),
    Effect.suspend(() => (context.outcome === undefined ? close(context, request, "session_over") : Effect.void))
  )
