import { randomUUID } from "node:crypto"
import type * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as NodeHttpServerRequest from "@effect/platform-node/NodeHttpServerRequest"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { FeedMessage } from "../../contracts/gatekeeper/StopSchemas.ts"
import { refusalResponse } from "../../platform/http/ErrorResponse.ts"
import { endWithServer, requestId } from "../../platform/http/RequestContext.ts"
import { makeLeases } from "../Leases.ts"
import { elseAuditUnavailable, refusalOf } from "../Refusals.ts"
import { feedResource } from "../ServiceRights.ts"
import { StopRegister } from "./StopRegister.ts"

/** A stream sends a message at least so often, so that its reader notices when it is cut. */
const longestSilence = "1 second"

const encode = Schema.encodeSync(FeedMessage)

const headers = { "cache-control": "no-store", "x-accel-buffering": "no" }

/** The messages of a gatekeeper. `next` names a place in its log, which begins again when it starts. */
export const makeMessages = ({ book }: Pick<typeof StopRegister.Service, "book">) => {
  const epoch = randomUUID()
  return (after: string | undefined): FeedMessage => {
    const [, given, place] = /^([0-9a-f-]{36})\.(\d{1,15})$/.exec(after ?? "") ?? []
    const log = book.log()
    return {
      next: `${epoch}.${log.length}`,
      policy_version: book.policyVersion() ?? null,
      revocations: log.slice(given === epoch ? Number(place) : 0)
    }
  }
}

/**
 * `GET /stops`: one message, or a stream of them. A raw route: a stream has no end of its own. It ends with the caller's token, so
 * that a service proves again who it is.
 */
export const stopFeed = Effect.map(Effect.all([StopRegister, makeLeases]), ([register, lease]) => {
  const messageAfter = makeMessages(register)

  const events = (after: string | undefined, millis: number) => {
    let last = after
    const text = Effect.sync(() => {
      const message = messageAfter(last)
      last = message.next
      return `data: ${JSON.stringify(encode(message))}\n\n`
    })
    return Stream.merge(register.book.changes, Stream.fromSchedule(Schedule.spaced(longestSilence))).pipe(
      Stream.mapEffect(() => text),
      Stream.encodeText,
      Stream.interruptAfter(millis)
    )
  }

  return Effect.fnUntraced(function* (request: HttpServerRequest.HttpServerRequest) {
    const id = requestId(request)
    const asked = new URL(request.url, "http://localhost").searchParams.get("after") ?? undefined
    const claimed = { action: "read", resource: feedResource, metadata: {} }
    const outcome = yield* lease({
      authorization: request.headers["authorization"],
      requestId: id,
      access: Either.right(claimed)
    })
    if (outcome._tag === "Allowed") return yield* Effect.dieMessage("a caller of the feed has no token")
    if (outcome._tag !== "Leased") return refusalResponse(refusalOf(outcome), id)
    if (!(request.headers["accept"] ?? "").includes("text/event-stream")) {
      return HttpServerResponse.unsafeJson(encode(messageAfter(asked)), { headers })
    }
    endWithServer(NodeHttpServerRequest.toIncomingMessage(request))
    // A timer of Node has 31 bits; the token of a caller that is not authenticated never ends.
    const left = Math.min(outcome.token.until - (yield* Clock.currentTimeMillis), 2 ** 31 - 1)
    return HttpServerResponse.stream(events(asked, left), {
      contentType: "text/event-stream; charset=utf-8",
      headers
    })
  }, elseAuditUnavailable)
})
